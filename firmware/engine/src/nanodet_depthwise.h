/* Form of the scratch memory of a depthwise convolution. */
#ifndef NANODET_DEPTHWISE_H
#define NANODET_DEPTHWISE_H

#include <stdint.h>

#define NANODET_AT_ONCE 4 /* Channels: a word of bytes. */

/* Pairs of rows in a column. */
static inline uint32_t nanodet_depthwise_pairs(uint32_t kernel, uint32_t stride) {
    return (kernel + (stride == 1 ? 2 : 1)) / 2;
}

/* Words of weights in a column of the kernel. */
static inline uint32_t nanodet_depthwise_words(uint32_t kernel, uint32_t stride) {
    return stride == 1 ? kernel - 1 : nanodet_depthwise_pairs(kernel, stride);
}

/* Columns that an even number of outputs reads. */
static inline uint32_t nanodet_depthwise_columns(uint32_t kernel, uint32_t stride,
                                                 uint32_t out_width) {
    return ((out_width + 1) / 2 * 2 - 1) * stride + kernel;
}

#endif
