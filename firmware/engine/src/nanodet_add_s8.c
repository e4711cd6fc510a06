#include "nanodet/kernels.h"

#include "nanodet_requantize.h"

/* As long as no shift is out of the usual. */
static void add_short(const nanodet_add *layer, const int8_t *first, const int8_t *second,
                      int8_t *out, uint32_t channels) {
    const int32_t *one = layer->first + 128, *other = layer->second + 128;
    const int32_t rule[3] = {layer->rule[0], layer->rule[1], layer->rule[2]};
    for (const int8_t *end = first + channels; first < end;) {
        *out++ = (int8_t)nanodet_requantize_short(one[*first++] + other[*second++], rule);
    }
}

static void add_any(const nanodet_add *layer, const int8_t *first, const int8_t *second,
                    int8_t *out, uint32_t channels) {
    for (uint32_t c = 0; c < channels; c++) {
        int32_t sum = layer->first[first[c] + 128] + layer->second[second[c] + 128];
        out[c] = (int8_t)nanodet_requantize(sum, layer->rule);
    }
}

void nanodet_add_s8(const nanodet_add *layer, nanodet_row first, nanodet_row second,
                    nanodet_row out, uint32_t channels, uint32_t pixels) {
    bool usual = layer->rule[2] >= NANODET_LEAST_SHIFT && layer->rule[2] <= NANODET_MOST_SHIFT;
    for (uint32_t x = 0; x < pixels; x++) {
        if (usual) {
            add_short(layer, first.first, second.first, out.first, channels);
        } else {
            add_any(layer, first.first, second.first, out.first, channels);
        }
        for (uint32_t c = 0; layer->activation != NULL && c < channels; c++) {
            out.first[c] = layer->activation[out.first[c] + 128];
        }
        first.first += first.pitch;
        second.first += second.pitch;
        out.first += out.pitch;
    }
}
