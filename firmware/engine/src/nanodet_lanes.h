/* Four channels as unsigned numbers of 16 bits in two words, 128 more than they are: sums of up to
 * 257 of them stay in their halves. */
#ifndef NANODET_LANES_H
#define NANODET_LANES_H

#include "nanodet_pairs.h"

#define NANODET_LANES 0x00FF00FFu

typedef struct {
    uint32_t even, odd; /* Channels 0 and 2, 1 and 3. */
} nanodet_lanes;

static inline nanodet_lanes nanodet_to_lanes(const int8_t *bytes) {
    uint32_t word = nanodet_load(bytes) ^ 0x80808080u;
    nanodet_lanes lanes = {word & NANODET_LANES, word >> 8 & NANODET_LANES};
    return lanes;
}

#endif
