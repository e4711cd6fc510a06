/* Parts of a convolution that layers share. */
#ifndef NANODET_CONV_H
#define NANODET_CONV_H

#include "nanodet/kernels.h"

#define NANODET_CONV_MOST 3        /* Pixels of a turn. */
#define NANODET_CONV_PARAMETERS 6u /* Words behind the weights of two output channels. */

/* Words of the weights of two output channels. */
static inline uint32_t nanodet_conv_weights(const nanodet_conv *layer) {
    return layer->narrow ? layer->inputs / 2u : layer->inputs;
}

/* Where output channel `output`, an even number, begins. */
static inline const int32_t *nanodet_conv_at(const nanodet_conv *layer, uint32_t output) {
    return layer->stream + output / 2 * (2 + nanodet_conv_weights(layer) + NANODET_CONV_PARAMETERS);
}

/* Words of scratch memory for the pixels: at 16 bits, and those of a turn as bytes, with what a
 * whole word writes beyond them. */
static inline uint32_t nanodet_conv_held(const nanodet_conv *layer) {
    return layer->pixels * (layer->inputs / 2u) + NANODET_CONV_MOST * (layer->inputs / 4u) + 1;
}

/* Pixels of the next turn, where so many are left: 2 or 3. Of a single one left, the second is the
 * same pixel again. */
static inline uint32_t nanodet_conv_turn(const nanodet_conv *layer, uint32_t left) {
    if (layer->form == 2) return left == 3 ? 3 : 2;
    return left == 3 || left > 4 ? 3 : 2;
}

/* `inputs` channels, a multiple of 4, of neighbouring pixels, `pitch` bytes apart, to 16 bits:
 * (0, 2) of each pixel, (1, 3) of each, (4, 6) of each, ... count: 2 or 3. */
typedef void nanodet_conv_widening(const int8_t *from, uint32_t pitch, uint32_t count,
                                   uint32_t inputs, uint32_t *pairs);
NANODET_CODE nanodet_conv_widening nanodet_conv_widen, nanodet_conv_widen_doubled;

/* Output channels `from` to `to`, even numbers, of a narrow stream as those of a wide one. */
NANODET_CODE
void nanodet_conv_widen_stream(const nanodet_conv *layer, uint32_t from, uint32_t to,
                               int32_t *stream);

/* Output channels whose weights are at `stream` to `end`, of `count` pixels. */
NANODET_CODE
void nanodet_conv_pixels(const nanodet_conv *layer, const uint32_t *pairs, uint32_t count,
                         const int32_t *stream, const int32_t *end, nanodet_row out);

#endif
