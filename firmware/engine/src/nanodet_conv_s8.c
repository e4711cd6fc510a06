#include "nanodet/kernels.h"

#include <string.h>

#include "nanodet_conv.h"
#include "nanodet_pairs.h"

#define LEAST 2 /* Pixels of a turn. */

/* Do all runs but the last hold whole words, so that pixels are widened where they lie? */
NANODET_CODE
static bool in_words(const nanodet_view *sources, uint32_t count) {
    uint32_t bytes = 0;
    for (const nanodet_view *view = sources; view < sources + count; view++) {
        for (uint32_t i = 0; i < view->run_count; i++) {
            if (bytes % 4 != 0) return false;
            bytes += view->runs[i].bytes;
        }
    }
    return true;
}

/* Channels of one pixel, one after another, word by word. */
NANODET_CODE
static void gather(const nanodet_view *sources, uint32_t count, uint32_t pixel, int8_t *bytes) {
    for (const nanodet_view *view = sources; view < sources + count; view++) {
        const int8_t *row = view->first + (size_t)pixel * view->pitch;
        const nanodet_run *run = view->runs, *end = run + view->run_count;
        for (; run < end; run++) {
            const int8_t *from = row + run->offset;
            uint32_t length = run->bytes;
            for (uint32_t i = 0; i < length; i += 4) {
                uint32_t word = nanodet_load(from + i);
                memcpy(bytes + i, &word, sizeof word);
            }
            bytes += length;
        }
    }
}

/* The same of each pixel of a window, padding among them. */
NANODET_CODE
static void gather_window(const nanodet_window *window, const nanodet_view *sources,
                          uint32_t count, uint32_t pixel, int8_t *bytes) {
    uint32_t first = pixel * window->stride - window->left, end = first + window->kernel;
    for (uint32_t y = 0; y < window->kernel; y++, sources += count) {
        for (uint32_t x = first; x != end; x++, bytes += window->channels) {
            if (sources->first != NULL && x < window->width) {
                gather(sources, count, x, bytes);
            } else {
                memset(bytes, window->zero_point, window->channels);
            }
        }
    }
}

/* `turn` pixels from `at` on; of a single one, the second is the same again. */
NANODET_CODE
static void widen(const nanodet_view *sources, uint32_t count, uint32_t at, uint32_t turn,
                  bool single, nanodet_conv_widening *loop, uint32_t *pairs) {
    for (const nanodet_view *view = sources; view < sources + count; view++) {
        const int8_t *row = view->first + (size_t)at * view->pitch;
        for (const nanodet_run *run = view->runs; run < view->runs + view->run_count; run++) {
            uint32_t bytes = (run->bytes + 3u) / 4 * 4;
            loop(row + run->offset, single ? 0 : view->pitch, turn, bytes, pairs);
            pairs += turn * (bytes / 2);
        }
    }
}

void nanodet_conv_s8(const nanodet_conv *layer, const nanodet_view *sources, uint32_t source_count,
                     const nanodet_row *targets, uint32_t rows, uint32_t pixels,
                     uint32_t *scratch) {
    uint32_t inputs = layer->inputs, words = inputs / 2, held = layer->pixels / layer->rows;
    uint32_t of_two = 2 + inputs + NANODET_CONV_PARAMETERS; /* Words of two output channels. */
    int8_t *bytes = (int8_t *)(scratch + layer->pixels * words);
    int32_t *wide = (int32_t *)scratch + nanodet_conv_held(layer);
    nanodet_conv_widening *loop = layer->narrow ? nanodet_conv_widen_doubled : nanodet_conv_widen;
    const nanodet_window *window = layer->window;
    uint32_t views = window == NULL ? source_count : source_count * window->kernel;
    bool single = pixels == 1, as_it_lies = window == NULL && in_words(sources, source_count);
    for (uint32_t from = 0, to = 0; from < pixels; from = to) {
        uint32_t *pairs = scratch, turn, end = from + held;
        const nanodet_view *row = sources;
        for (uint32_t y = 0; y < rows; y++, row += views) {
            to = from;
            do {
                turn = nanodet_conv_turn(layer, pixels - to);
                if (as_it_lies) {
                    widen(row, source_count, to, turn, single, loop, pairs);
                } else {
                    for (uint32_t p = 0; p < turn; p++) {
                        uint32_t pixel = single ? 0 : to + p;
                        if (window == NULL) {
                            gather(row, source_count, pixel, bytes + p * inputs);
                        } else {
                            gather_window(window, row, source_count, pixel, bytes + p * inputs);
                        }
                    }
                    loop(bytes, inputs, turn, inputs, pairs);
                }
                pairs += turn * words;
                to += turn;
            } while (to < pixels && to + LEAST <= end &&
                     to + nanodet_conv_turn(layer, pixels - to) <= end);
        }
        for (uint32_t n = 0, next; n < layer->outputs; n = next) {
            next = n + layer->block < layer->outputs ? n + layer->block : layer->outputs;
            const int32_t *stream = wide;
            if (layer->narrow) {
                nanodet_conv_widen_stream(layer, n, next, wide);
            } else {
                stream = layer->stream + n / 2 * of_two;
            }
            const int32_t *behind = stream + (next - n) / 2 * of_two;
            pairs = scratch;
            for (const nanodet_row *target = targets; target < targets + rows; target++) {
                for (uint32_t x = from; x < to; x += turn, pairs += turn * words) {
                    turn = nanodet_conv_turn(layer, pixels - x);
                    nanodet_row out = {target->first + (size_t)x * target->pitch,
                                       single ? 0 : target->pitch};
                    nanodet_conv_pixels(layer, pairs, turn, stream, behind, out);
                }
            }
        }
    }
}
