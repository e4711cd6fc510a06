/* Form of the scratch memory of a depthwise convolution: columns, each of the words of four channels.
 *
 * With stride 1 a column is one of the image: its rows in pairs, (0, 1), (2, 3), ... With stride 2 it is
 * two of the image: pairs of rows of the left one, the last of an odd number of rows of both, and pairs
 * of rows of the right one. */
#ifndef NANODET_DEPTHWISE_H
#define NANODET_DEPTHWISE_H

#include <stdint.h>

#define NANODET_AT_ONCE 4u /* Channels: a word of bytes. */

/* Words of a channel in a column. */
static inline uint32_t nanodet_depthwise_words(uint32_t kernel, uint32_t stride) {
    return stride == 1 ? (kernel + 2) / 2 : kernel;
}

/* Words of the four channels. */
static inline uint32_t nanodet_depthwise_column(uint32_t kernel, uint32_t stride) {
    return (nanodet_depthwise_words(kernel, stride) + 1) / 2 * 2 * NANODET_AT_ONCE;
}

/* Columns that an even number of outputs reads. */
static inline uint32_t nanodet_depthwise_columns(uint32_t kernel, uint32_t stride,
                                                 uint32_t out_width) {
    uint32_t even = (out_width + 1) / 2 * 2;
    return stride == 1 ? even + kernel - 1 : even + (kernel - 1) / 2;
}

/* Words of a channel's weights. */
static inline uint32_t nanodet_depthwise_weights(uint32_t kernel, uint32_t stride) {
    return stride == 1 ? kernel * (kernel - 1) : (kernel * kernel + 1) / 2;
}

/* Where a channel's first word is; the second follows, and eight words on the next two. */
static inline uint32_t nanodet_depthwise_at(uint32_t channel) {
    return 2 * (channel == 1 || channel == 2 ? 3 - channel : channel);
}

#endif
