/* From a layer's doubled sum to its int8, as TensorFlow Lite Micro rounds: by 31 bits with ties
 * upwards, then by `shift` bits with ties away from zero. */
#ifndef NANODET_REQUANTIZE_H
#define NANODET_REQUANTIZE_H

#include <stdint.h>

#include "nanodet_fixed_point.h"
#include "nanodet_pairs.h"

#define NANODET_LEAST_SHIFT 1 /* Of those that the short way rounds exactly. */
#define NANODET_MOST_SHIFT 22

/* Of a channel: a byte beside the shift's. */
static inline uint32_t nanodet_place(const int32_t rule[3]) { return (uint32_t)rule[2] >> 8; }

/* By a shift of 1..22. */
static inline int32_t nanodet_requantize_short(int32_t doubled, const int32_t rule[3],
                                               int32_t shift) {
    int32_t high = (int32_t)(((int64_t)doubled * rule[0] + ((int64_t)1 << 31)) >> 32);
    int32_t value = (high + rule[1] - (doubled < 0)) >> shift;
    return value < -128 ? -128 : value > 127 ? 127 : value;
}

/* rule: multiplier, offset, shift in the lower byte. A shift of 1..22 is to the right and its offset is
 * 2^(shift - 1) + zero point * 2^shift; any other is as in `nanodet_multiply`, its offset the zero
 * point alone. */
static inline int32_t nanodet_requantize(int32_t doubled, const int32_t rule[3]) {
    int32_t shift = (int8_t)(uint8_t)rule[2];
    if (shift < NANODET_LEAST_SHIFT || shift > NANODET_MOST_SHIFT) {
        int64_t value = nanodet_multiply(doubled / 2, rule[0], -shift);
        value += rule[1];
        return value < -128 ? -128 : value > 127 ? 127 : (int32_t)value;
    }
    return nanodet_requantize_short(doubled, rule, shift);
}

#endif
