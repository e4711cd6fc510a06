/* Four channels as unsigned numbers of 16 bits in two words, 128 more than they are: sums of up to
 * 16 of them stay in their halves. */
#ifndef NANODET_LANES_H
#define NANODET_LANES_H

#include "nanodet_pairs.h"

#if defined(__GNUC__)
#define NANODET_INLINE static inline __attribute__((always_inline))
#else
#define NANODET_INLINE static inline
#endif

#define NANODET_LANES 0x00FF00FFu

typedef struct {
    uint32_t even, odd; /* Channels 0 and 2, 1 and 3. */
} nanodet_lanes;

NANODET_INLINE nanodet_lanes nanodet_to_lanes(const int8_t *bytes) {
    uint32_t word = nanodet_load(bytes) ^ 0x80808080u;
    nanodet_lanes lanes = {word & NANODET_LANES, word >> 8 & NANODET_LANES};
    return lanes;
}

/* A sum of 2^shift to their mean, ties away from what was zero. */
NANODET_INLINE uint32_t nanodet_lanes_mean(uint32_t pair, uint32_t shift) {
    uint32_t below_half = (1u << shift) / 2 - 1, is_positive = pair >> (7 + shift) & 0x00010001u;
    return (pair + below_half * 0x00010001u + is_positive) >> shift & NANODET_LANES;
}

/* Means of sums of 2^shift to so many channels, at most four. */
NANODET_INLINE void nanodet_from_lanes(nanodet_lanes sums, uint32_t shift, uint32_t channels,
                                       int8_t *to) {
    uint32_t even = nanodet_lanes_mean(sums.even, shift), odd = nanodet_lanes_mean(sums.odd, shift);
    uint32_t word = (even | odd << 8) ^ 0x80808080u;
    if (channels >= 4) {
        memcpy(to, &word, sizeof word);
        return;
    }
    for (uint32_t i = 0; i < channels; i++, word >>= 8) to[i] = (int8_t)(uint8_t)word;
}

#endif
