/* Scratch memory of the stem; not part of the interface. */
#ifndef NANODET_STEM_PRIVATE_H
#define NANODET_STEM_PRIVATE_H

#include "nanodet/stem.h"

#define NANODET_STEM_LINES 3

static inline nanodet_status nanodet_check_stem(const nanodet_stem *stem) {
    if (stem == NULL || stem->weight == NULL || stem->bias == NULL) return NANODET_NULL_POINTER;
    if (stem->multiplier == NULL || stem->shift == NULL || stem->activation == NULL) {
        return NANODET_NULL_POINTER;
    }
    if (stem->width == 0 || stem->width % 4 || stem->width > NANODET_MAX_CANVAS ||
        stem->height == 0 || stem->height % 4 || stem->height > NANODET_MAX_CANVAS) {
        return NANODET_BAD_MODEL;
    }
    if (stem->channels == 0 || stem->channels % 4 || stem->channels > NANODET_STEM_MAX_CHANNELS) {
        return NANODET_BAD_MODEL;
    }
    return NANODET_OK;
}

/* int16 of a line: the pixels, one of padding on the right, two that are read in vain, and one
 * number to even them out. */
static inline uint32_t nanodet_stem_line_length(const nanodet_stem *stem) {
    return (stem->width + 3u) * 3u + 1u;
}

static inline size_t nanodet_stem_lines_bytes(const nanodet_stem *stem) {
    return (size_t)NANODET_STEM_LINES * nanodet_stem_line_length(stem) * sizeof(int16_t);
}

/* Two rows of sums that are pooled along x. */
static inline size_t nanodet_stem_sums_bytes(const nanodet_stem *stem) {
    return 2u * (stem->width / 4u) * stem->channels * sizeof(int32_t);
}

#endif
