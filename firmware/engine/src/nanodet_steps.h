/* What a step of a network does. */
#ifndef NANODET_STEPS_H
#define NANODET_STEPS_H

#include "nanodet/network.h"

/* Rows that a step computes, fewer where there are no more. */
static inline uint32_t nanodet_rows_at_once(const nanodet_layer *layer) {
    if (layer->kind == NANODET_CONV) return ((const nanodet_conv *)layer->layer)->rows;
    return layer->kind == NANODET_DEPTHWISE && layer->stride == 1 ? 2 : 1;
}

#endif
