#include <string.h>

#include "nanodet_conv.h"
#include "nanodet_pairs.h"
#include "nanodet_requantize.h"

static void any_pixels(const nanodet_conv *layer, const uint32_t *pairs, uint32_t count,
                       const int32_t *word, const int32_t *end, nanodet_row out) {
    while (word < end) {
        int32_t sum[2][NANODET_CONV_MOST];
        for (uint32_t p = 0; p < count; p++) {
            sum[0][p] = word[0];
            sum[1][p] = word[1];
        }
        word += 2;
        const uint32_t *pair = pairs;
        for (uint32_t k = 0; k < layer->inputs; k += 2, word += 2, pair += count) {
            for (uint32_t p = 0; p < count; p++) {
                sum[0][p] = nanodet_multiply_pairs(pair[p], (uint32_t)word[0], sum[0][p]);
                sum[1][p] = nanodet_multiply_pairs(pair[p], (uint32_t)word[1], sum[1][p]);
            }
        }
        for (uint32_t j = 0; j < 2; j++, word += NANODET_CONV_PARAMETERS / 2) {
            int8_t *to = out.first + nanodet_place(word);
            for (uint32_t p = 0; p < count; p++, to += out.pitch) {
                int32_t value = nanodet_requantize(sum[j][p], word);
                *to = layer->activation == NULL ? (int8_t)value : layer->activation[value + 128];
            }
        }
    }
}

#if defined(__ARM_FEATURE_DSP)
/* nanodet_conv_pixels.S */
typedef void pixel_loop(const uint32_t *pairs, const int32_t *stream, int8_t *out,
                        const int8_t *activation, uint32_t pitch, uint32_t inputs,
                        const int32_t *end);
pixel_loop nanodet_conv_2, nanodet_conv_2_plain, nanodet_conv_3, nanodet_conv_3_plain;
typedef void widen_loop(const int8_t *from, uint32_t pitch, uint32_t *pairs, const uint32_t *end);
widen_loop nanodet_widen_2, nanodet_widen_2_doubled, nanodet_widen_3, nanodet_widen_3_doubled;

void nanodet_conv_pixels(const nanodet_conv *layer, const uint32_t *pairs, uint32_t count,
                         const int32_t *stream, const int32_t *end, nanodet_row out) {
    const int8_t *activation = layer->activation;
    pixel_loop *loop = count == 3 ? nanodet_conv_3_plain : nanodet_conv_2_plain;
    if (layer->any_shift) {
        any_pixels(layer, pairs, count, stream, end, out);
        return;
    }
    if (activation != NULL) {
        loop = count == 3 ? nanodet_conv_3 : nanodet_conv_2;
        activation += 128;
    }
    loop(pairs, stream, out.first, activation, out.pitch, layer->inputs, end);
}

void nanodet_conv_widen(const int8_t *from, uint32_t pitch, uint32_t count, uint32_t inputs,
                        uint32_t *pairs) {
    if (count == 3) {
        nanodet_widen_3(from, pitch, pairs, pairs + 3 * (inputs / 2));
    } else {
        nanodet_widen_2(from, pitch, pairs, pairs + 2 * (inputs / 2));
    }
}

void nanodet_conv_widen_doubled(const int8_t *from, uint32_t pitch, uint32_t count,
                                uint32_t inputs, uint32_t *pairs) {
    if (count == 3) {
        nanodet_widen_3_doubled(from, pitch, pairs, pairs + 3 * (inputs / 2));
    } else {
        nanodet_widen_2_doubled(from, pitch, pairs, pairs + 2 * (inputs / 2));
    }
}
#else
void nanodet_conv_pixels(const nanodet_conv *layer, const uint32_t *pairs, uint32_t count,
                         const int32_t *stream, const int32_t *end, nanodet_row out) {
    any_pixels(layer, pairs, count, stream, end, out);
}

void nanodet_conv_widen(const int8_t *from, uint32_t pitch, uint32_t count, uint32_t inputs,
                        uint32_t *pairs) {
    for (uint32_t i = 0; i < inputs; i += 4, pairs += 2 * count) {
        for (uint32_t p = 0; p < count; p++) {
            uint32_t bytes = nanodet_load(from + p * pitch + i);
            pairs[p] = nanodet_even(bytes);
            pairs[p + count] = nanodet_odd(bytes);
        }
    }
}

void nanodet_conv_widen_doubled(const int8_t *from, uint32_t pitch, uint32_t count,
                                uint32_t inputs, uint32_t *pairs) {
    nanodet_conv_widen(from, pitch, count, inputs, pairs);
    for (uint32_t i = 0; i < count * (inputs / 2); i++) pairs[i] = pairs[i] << 1 & 0xFFFEFFFEu;
}
#endif

void nanodet_conv_widen_stream(const nanodet_conv *layer, uint32_t from, uint32_t to,
                               int32_t *stream) {
    uint32_t inputs = layer->inputs;
    const int32_t *narrow = nanodet_conv_at(layer, from);
    for (; from < to; from += 2) {
        stream[0] = narrow[0];
        stream[1] = narrow[1];
        nanodet_conv_widen((const int8_t *)(narrow + 2), inputs, 2, inputs, (uint32_t *)stream + 2);
        stream += 2 + inputs;
        narrow += 2 + inputs / 2;
        memcpy(stream, narrow, NANODET_CONV_PARAMETERS * sizeof *stream);
        stream += NANODET_CONV_PARAMETERS;
        narrow += NANODET_CONV_PARAMETERS;
    }
}
