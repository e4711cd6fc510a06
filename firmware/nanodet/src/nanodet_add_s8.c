#include "nanodet/kernels.h"

#include "nanodet_requantize.h"

void nanodet_add_s8(const nanodet_add *layer, nanodet_row first, nanodet_row second,
                    nanodet_row out, uint32_t channels, uint32_t pixels) {
    const int32_t *one = layer->first + 128, *other = layer->second + 128;
    for (uint32_t x = 0; x < pixels; x++) {
        for (uint32_t c = 0; c < channels; c++) {
            int32_t sum = one[first.first[c]] + other[second.first[c]];
            int32_t value = nanodet_requantize(sum, layer->rule);
            if (layer->activation != NULL) value = layer->activation[value + 128];
            out.first[c] = (int8_t)value;
        }
        first.first += first.pitch;
        second.first += second.pitch;
        out.first += out.pitch;
    }
}
