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

/* A sum that wraps, as the instructions' do. */
static inline int32_t nanodet_plus(int32_t sum, int32_t product) {
    return (int32_t)((uint32_t)sum + (uint32_t)product);
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

/* The upper half of a by the lower of b, and the lower by the upper. */
static inline int32_t nanodet_multiply_upper_lower(uint32_t a, uint32_t b, int32_t sum) {
    return __smlatb((int32_t)a, (int32_t)b, sum);
}

static inline int32_t nanodet_multiply_lower_upper(uint32_t a, uint32_t b, int32_t sum) {
    return __smlabt((int32_t)a, (int32_t)b, sum);
}

/* Lower halves, and upper halves, of two words. */
static inline uint32_t nanodet_lower(uint32_t a, uint32_t b) {
    uint32_t word;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(word) : "r"(a), "r"(b));
    return word;
}

static inline uint32_t nanodet_upper(uint32_t a, uint32_t b) {
    uint32_t word;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(word) : "r"(b), "r"(a));
    return word;
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
    sum = nanodet_plus(sum, nanodet_half(a, 0) * nanodet_half(b, 0));
    return nanodet_plus(sum, nanodet_half(a, 1) * nanodet_half(b, 1));
}

static inline int32_t nanodet_multiply_upper_lower(uint32_t a, uint32_t b, int32_t sum) {
    return nanodet_plus(sum, nanodet_half(a, 1) * nanodet_half(b, 0));
}

static inline int32_t nanodet_multiply_lower_upper(uint32_t a, uint32_t b, int32_t sum) {
    return nanodet_plus(sum, nanodet_half(a, 0) * nanodet_half(b, 1));
}

static inline uint32_t nanodet_lower(uint32_t a, uint32_t b) {
    return (a & 0xFFFFu) | b << 16;
}

static inline uint32_t nanodet_upper(uint32_t a, uint32_t b) {
    return a >> 16 | (b & 0xFFFF0000u);
}
#endif

#endif
