/* TensorFlow Lite's MultiplyByQuantizedMultiplier, as its microcontroller kernels round: twice. */
#ifndef NANODET_FIXED_POINT_H
#define NANODET_FIXED_POINT_H

#include <stdint.h>

/* value * multiplier / 2^31 * 2^shift. multiplier >= 0, |value| < 2^24, shift in -31..30. */
static inline int32_t nanodet_multiply(int32_t value, int32_t multiplier, int32_t shift) {
    int64_t product = (int64_t)value * (shift > 0 ? (int64_t)1 << shift : 1);
    if (product > INT32_MAX) product = INT32_MAX;
    if (product < INT32_MIN) product = INT32_MIN;
    product *= multiplier;
    /* To the nearest: by 31 bits, ties upwards, then by what is left, ties away from zero. */
    int64_t half = (int64_t)1 << 30, whole = (int64_t)1 << 31;
    int64_t high = product >= 0 ? (product + half) / whole : -((-product + half - 1) / whole);
    if (shift >= 0) return (int32_t)high;
    int64_t step = (int64_t)1 << -shift;
    return (int32_t)(high >= 0 ? (high + step / 2) / step : -((-high + step / 2) / step));
}

#endif
