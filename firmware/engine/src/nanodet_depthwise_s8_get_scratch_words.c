#include "nanodet/kernels.h"

#include "nanodet_depthwise.h"

uint32_t nanodet_depthwise_s8_get_scratch_words(uint32_t kernel, uint32_t stride,
                                                uint32_t out_width) {
    return nanodet_depthwise_column(kernel, stride) *
           nanodet_depthwise_columns(kernel, stride, out_width);
}
