#include "nanodet/kernels.h"

#include "nanodet_requantize.h"

static void add(const nanodet_add *layer, const int8_t *first, const int8_t *second, int8_t *out,
                uint32_t channels) {
    for (uint32_t c = 0; c < channels; c++) {
        int32_t sum = nanodet_plus(layer->first[first[c] + 128], layer->second[second[c] + 128]);
        out[c] = (int8_t)nanodet_requantize(sum, layer->rule);
    }
}

#if defined(__ARM_FEATURE_DSP)
/* nanodet_add_channels.S */
void nanodet_add_channels(const int8_t *first, const int8_t *second, int8_t *out, const int8_t *end,
                          const int32_t *one, const int32_t *other, const int32_t *rule);

/* As long as no shift is out of the usual, four at a time. */
static uint32_t add_fast(const nanodet_add *layer, const int8_t *first, const int8_t *second,
                         int8_t *out, uint32_t channels) {
    uint32_t words = channels / 4 * 4;
    if (layer->rule[2] < NANODET_LEAST_SHIFT || layer->rule[2] > NANODET_MOST_SHIFT) return 0;
    if (words != 0) {
        nanodet_add_channels(first, second, out, out + words, layer->first + 128,
                             layer->second + 128, layer->rule);
    }
    return words;
}
#else
#define add_fast(layer, first, second, out, channels) 0u
#endif

void nanodet_add_s8(const nanodet_add *layer, nanodet_row first, nanodet_row second,
                    nanodet_row out, uint32_t channels, uint32_t pixels) {
    for (uint32_t x = 0; x < pixels; x++) {
        uint32_t at = add_fast(layer, first.first, second.first, out.first, channels);
        add(layer, first.first + at, second.first + at, out.first + at, channels - at);
        for (uint32_t c = 0; layer->activation != NULL && c < channels; c++) {
            out.first[c] = layer->activation[out.first[c] + 128];
        }
        first.first += first.pitch;
        second.first += second.pitch;
        out.first += out.pitch;
    }
}
