/* The first layers of the network, row by row: convolution 3x3 with stride 2, max-pool 3x3 with
 * stride 2, LEAKY_RELU; bit for bit TensorFlow Lite Micro's kernels. What would be the largest
 * tensors never exist as a whole. `./nanodet firmware --split-stem` writes the constants.
 */
#ifndef NANODET_STEM_H
#define NANODET_STEM_H

#include "nanodet/preprocess.h"
#include "nanodet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NANODET_STEM_ROW_WORDS 5 /* Three pixels of three colours and one of padding, in pairs. */
#define NANODET_STEM_WORDS (3 * NANODET_STEM_ROW_WORDS)
#define NANODET_STEM_MAX_CHANNELS 64

typedef struct {
    uint16_t width; /* Of the image; both are multiples of 4. */
    uint16_t height;
    uint16_t channels; /* A multiple of 4. */
    int16_t input_zero_point;
    int16_t output_zero_point; /* Of the convolution. */
    /* [channels / 4][NANODET_STEM_WORDS][4]: for four channels at a time two weights per word, the
     * first in the lower half. */
    const int32_t *weight;
    const int32_t *bias;       /* [channels] */
    const int32_t *multiplier; /* [channels], from the sum to the convolution's int8. */
    const int32_t *shift;      /* [channels], -31..30 */
    const int8_t *activation;  /* [256], see nanodet_leaky_relu_s8_table */
} nanodet_stem;

/* Fill `row` with `y`'s row of the network's int8 input: width pixels of three bytes. */
typedef void nanodet_row_source(void *context, uint32_t y, int8_t *row);

/* Bytes of scratch memory; 0 where the stem is none. */
size_t nanodet_stem_s8_get_scratch_bytes(const nanodet_stem *stem);

/* output: int8 (height / 4, width / 4, channels), the input of the rest of the network. Rows are
 * asked for once each, from the first on. scratch: aligned to 4 bytes. */
nanodet_status nanodet_stem_s8(const nanodet_stem *stem, nanodet_row_source *source, void *context,
                               void *scratch, size_t scratch_bytes, int8_t *output,
                               size_t output_bytes);

#ifdef __cplusplus
}
#endif

#endif
