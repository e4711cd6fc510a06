#include "nanodet/kernels.h"

#include "nanodet_conv.h"

uint32_t nanodet_conv_s8_get_scratch_words(const nanodet_conv *layer) {
    uint32_t of_two = 2u + layer->inputs + NANODET_CONV_PARAMETERS;
    return nanodet_conv_held(layer) + (layer->narrow ? layer->block / 2u * of_two : 0);
}
