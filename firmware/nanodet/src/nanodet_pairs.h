/* Pairs of 16-bit numbers in a word, the first in the lower half. */
#ifndef NANODET_PAIRS_H
#define NANODET_PAIRS_H

#include <stdint.h>
#include <string.h>

static inline uint32_t nanodet_load(const int8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>

/* Bytes 0 and 2. */
static inline uint32_t nanodet_even(uint32_t bytes) { return (uint32_t)__sxtb16(bytes); }

/* Bytes 1 and 3. */
static inline uint32_t nanodet_odd(uint32_t bytes) {
    return (uint32_t)__sxtb16(bytes >> 8 | bytes << 24);
}

static inline int32_t nanodet_multiply_pairs(uint32_t a, uint32_t b, int32_t sum) {
    return __smlad((int16x2_t)a, (int16x2_t)b, sum);
}
#else
static inline int32_t nanodet_half(uint32_t word, int upper) {
    return (int32_t)((word >> (upper ? 16 : 0) & 0xFFFFu) ^ 0x8000u) - 0x8000;
}

static inline uint32_t nanodet_widened(uint32_t byte) {
    return (uint32_t)((int32_t)((byte & 0xFFu) ^ 0x80u) - 0x80) & 0xFFFFu;
}

static inline uint32_t nanodet_even(uint32_t bytes) {
    return nanodet_widened(bytes) | nanodet_widened(bytes >> 16) << 16;
}

static inline uint32_t nanodet_odd(uint32_t bytes) { return nanodet_even(bytes >> 8); }

static inline int32_t nanodet_multiply_pairs(uint32_t a, uint32_t b, int32_t sum) {
    return sum + nanodet_half(a, 0) * nanodet_half(b, 0) + nanodet_half(a, 1) * nanodet_half(b, 1);
}
#endif

#endif
