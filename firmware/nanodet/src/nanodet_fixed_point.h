/* TensorFlow Lite's MultiplyByQuantizedMultiplier, as its microcontroller kernels round: twice. */
#ifndef NANODET_FIXED_POINT_H
#define NANODET_FIXED_POINT_H

#include <stdint.h>

/* Shifts of negative numbers keep their sign with every compiler there is for these targets. */

/* value * multiplier / 2^31 * 2^shift. multiplier >= 0, shift in -31..30. */
static inline int32_t nanodet_multiply(int32_t value, int32_t multiplier, int32_t shift) {
    if (shift > 0) {
        int64_t wide = (int64_t)value * ((int64_t)1 << shift);
        value = wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
    }
    /* To the nearest: by 31 bits, ties upwards, then by what is left, ties away from zero. */
    int32_t high = (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << 30)) >> 31);
    if (shift >= 0) return high;
    int64_t half = (int64_t)1 << (-shift - 1);
    return (int32_t)((high + half - (high < 0)) >> -shift);
}

#endif
