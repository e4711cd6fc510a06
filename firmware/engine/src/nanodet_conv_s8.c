#include "nanodet/kernels.h"

#include <string.h>

#include "nanodet_pairs.h"
#include "nanodet_requantize.h"

#define AT_ONCE 3
#define PARAMETERS 6

/* Channels of one pixel, one after another. */
static void gather(const nanodet_view *sources, uint32_t count, uint32_t pixel, int8_t *bytes) {
    for (const nanodet_view *view = sources; view < sources + count; view++) {
        const int8_t *from = view->first + (size_t)pixel * view->pitch;
        for (const nanodet_run *run = view->runs; run < view->runs + view->run_count; run++) {
            memcpy(bytes, from + run->offset, run->bytes);
            bytes += run->bytes;
        }
    }
}

static void scatter(const nanodet_view *target, uint32_t pixel, const int8_t *bytes) {
    int8_t *to = target->first + (size_t)pixel * target->pitch;
    for (const nanodet_run *run = target->runs; run < target->runs + target->run_count; run++) {
        memcpy(to + run->offset, bytes, run->bytes);
        bytes += run->bytes;
    }
}

/* Pixels as pairs of 16 bits: (0, 2) of each pixel, (1, 3) of each, (4, 6) of each, ... */
static void widen(const int8_t *const pixel[AT_ONCE], uint32_t inputs, uint32_t *pairs) {
    const int8_t *a = pixel[0], *b = pixel[1], *c = pixel[2];
    for (uint32_t i = 0; i < inputs; i += 4, pairs += 2 * AT_ONCE) {
        uint32_t x = nanodet_load(a + i), y = nanodet_load(b + i), z = nanodet_load(c + i);
        pairs[0] = nanodet_even(x);
        pairs[1] = nanodet_even(y);
        pairs[2] = nanodet_even(z);
        pairs[3] = nanodet_odd(x);
        pairs[4] = nanodet_odd(y);
        pairs[5] = nanodet_odd(z);
    }
}

/* All output channels of three pixels, `pitch` bytes apart. */
static void three_pixels(const nanodet_conv *layer, const uint32_t *pairs, int8_t *out,
                         uint32_t pitch) {
    const int32_t *word = layer->stream;
    for (uint32_t n = 0; n < layer->outputs; n += 2) {
        int32_t sum[2][AT_ONCE];
        for (int p = 0; p < AT_ONCE; p++) {
            sum[0][p] = word[0];
            sum[1][p] = word[1];
        }
        word += 2;
        const uint32_t *pair = pairs;
        for (uint32_t k = 0; k < layer->inputs; k += 2, word += 2, pair += AT_ONCE) {
            for (int p = 0; p < AT_ONCE; p++) {
                sum[0][p] = nanodet_multiply_pairs(pair[p], (uint32_t)word[0], sum[0][p]);
                sum[1][p] = nanodet_multiply_pairs(pair[p], (uint32_t)word[1], sum[1][p]);
            }
        }
        for (uint32_t j = 0; j < 2; j++) {
            for (uint32_t p = 0; p < AT_ONCE; p++) {
                int32_t value = nanodet_requantize(sum[j][p], word + 3 * j);
                if (layer->activation != NULL) value = layer->activation[value + 128];
                out[p * pitch + n + j] = (int8_t)value;
            }
        }
        word += PARAMETERS;
    }
}

#if defined(__ARM_FEATURE_DSP)
/* nanodet_conv_px3.S */
void nanodet_conv_px3(const uint32_t *pairs, const int32_t *stream, int8_t *out,
                      const int8_t *activation, uint32_t pitch, uint32_t inputs,
                      const int32_t *end);
void nanodet_conv_px3_plain(const uint32_t *pairs, const int32_t *stream, int8_t *out,
                            const int8_t *activation, uint32_t pitch, uint32_t inputs,
                            const int32_t *end);

static void convolve(const nanodet_conv *layer, const uint32_t *pairs, int8_t *out,
                     uint32_t pitch) {
    const int32_t *end =
        layer->stream + layer->outputs / 2u * (layer->inputs + 2u + PARAMETERS);
    if (layer->any_shift) {
        three_pixels(layer, pairs, out, pitch);
    } else if (layer->activation != NULL) {
        nanodet_conv_px3(pairs, layer->stream, out, layer->activation + 128, pitch,
                         layer->inputs, end);
    } else {
        nanodet_conv_px3_plain(pairs, layer->stream, out, NULL, pitch, layer->inputs, end);
    }
}
#else
#define convolve three_pixels
#endif

static uint32_t channels(const nanodet_view *view) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < view->run_count; i++) sum += view->runs[i].bytes;
    return sum;
}

void nanodet_conv_s8(const nanodet_conv *layer, const nanodet_view *sources, uint32_t source_count,
                     const nanodet_view *target, uint32_t pixels, uint32_t *scratch) {
    uint32_t inputs = layer->inputs, outputs = layer->outputs;
    int8_t *bytes = (int8_t *)(scratch + AT_ONCE * (inputs / 2));
    bool as_it_lies = source_count == 1 && sources->run_count == 1 && sources->runs->bytes == inputs;
    bool straight = target->run_count == 1 && channels(target) == outputs;
    for (uint32_t at = 0; at < pixels; at += AT_ONCE) {
        const int8_t *pixel[AT_ONCE];
        uint32_t count = pixels - at < AT_ONCE ? pixels - at : AT_ONCE;
        for (uint32_t p = 0; p < AT_ONCE; p++) {
            uint32_t here = at + (p < count ? p : count - 1); /* The last one stands in. */
            if (as_it_lies) {
                pixel[p] = sources->first + sources->runs->offset + (size_t)here * sources->pitch;
            } else {
                int8_t *row = bytes + p * inputs;
                gather(sources, source_count, here, row);
                pixel[p] = row;
            }
        }
        widen(pixel, inputs, scratch);
        if (straight && count == AT_ONCE) {
            int8_t *out = target->first + target->runs->offset + (size_t)at * target->pitch;
            convolve(layer, scratch, out, target->pitch);
            continue;
        }
        convolve(layer, scratch, bytes, outputs);
        for (uint32_t p = 0; p < count; p++) scatter(target, at + p, bytes + p * outputs);
    }
}
