/* Checks that functions of this library share; not part of its interface. */
#ifndef NANODET_CHECK_H
#define NANODET_CHECK_H

#include "nanodet/types.h"

/* NANODET_OK where the canvas is sound: enough for preprocessing. */
nanodet_status nanodet_check_canvas(const nanodet_model *model);

/* NANODET_OK where the whole description is sound. */
nanodet_status nanodet_check_model(const nanodet_model *model);

/* Of the network's input. */
static inline uint32_t nanodet_row_bytes(const nanodet_model *model) {
    return (model->grey ? 1u : 3u) * model->width;
}

static inline bool nanodet_aligned(const void *pointer) { return ((uintptr_t)pointer & 3u) == 0; }

/* floor(numerator / denominator), denominator > 0. */
static inline int32_t nanodet_floor_div(int32_t numerator, int32_t denominator) {
    int32_t quotient = numerator / denominator;
    return quotient - (numerator % denominator < 0);
}

#endif
