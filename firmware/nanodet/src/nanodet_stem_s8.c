#include "nanodet/stem.h"

#include <string.h>

#include "nanodet_check.h"
#include "nanodet_fixed_point.h"
#include "nanodet_pairs.h"
#include "nanodet_stem.h"

#if defined(__GNUC__) && !defined(__clang__)
#define UNROLLED _Pragma("GCC unroll 8")
/* Else GCC loads weights far ahead, and has to keep them on the stack. */
#define IN_ORDER __asm__ volatile("" ::: "memory")
#elif defined(__clang__)
#define UNROLLED _Pragma("unroll")
#define IN_ORDER
#else
#define UNROLLED
#define IN_ORDER
#endif

#define NEXT 6 /* int16 from one position to the next: two pixels. */

typedef struct {
    const nanodet_stem *stem;
    nanodet_row_source *source;
    void *context;
    int16_t *lines[NANODET_STEM_LINES]; /* Row y of the image lies in line y % 3. */
    int32_t *best; /* Largest sums of the pooled row so far, [width / 4][channels]. */
    int32_t *last; /* Those of the newest row of sums. */
} work;

/* The image's row y as pixel - zero point; rows below the image are zeros, as is what lies to the
 * right. The bytes are fetched to the end of the line and widened from its start. */
static void fetch(const work *state, uint32_t y) {
    const nanodet_stem *stem = state->stem;
    int16_t *line = state->lines[y % NANODET_STEM_LINES];
    uint32_t length = nanodet_stem_line_length(stem), pixels = stem->width * 3u;
    if (y >= stem->height) {
        memset(line, 0, length * sizeof *line);
        return;
    }
    int8_t *bytes = (int8_t *)line + pixels;
    state->source(state->context, y, bytes);
    for (uint32_t i = 0; i < pixels; i++) line[i] = (int16_t)(bytes[i] - stem->input_zero_point);
    memset(line + pixels, 0, (length - pixels) * sizeof *line);
}

/* Sums of four channels at two neighbouring positions; rows: where the first one's three begin. */
static inline void convolve(const int16_t *const rows[3], const int32_t *weight,
                            const int32_t *bias, int32_t sum[8]) {
    int32_t a = bias[0], b = bias[1], c = bias[2], d = bias[3];
    int32_t e = a, f = b, g = c, h = d;
    UNROLLED
    for (int row = 0; row < 3; row++) {
        const int16_t *pixels = rows[row];
        UNROLLED
        for (int i = 0; i < NANODET_STEM_ROW_WORDS; i++) {
            const int32_t *four = weight + 4 * (NANODET_STEM_ROW_WORDS * row + i);
            uint32_t here, next;
            memcpy(&here, pixels + 2 * i, sizeof here);
            memcpy(&next, pixels + 2 * i + NEXT, sizeof next);
            a = nanodet_multiply_pairs(here, (uint32_t)four[0], a);
            e = nanodet_multiply_pairs(next, (uint32_t)four[0], e);
            b = nanodet_multiply_pairs(here, (uint32_t)four[1], b);
            f = nanodet_multiply_pairs(next, (uint32_t)four[1], f);
            c = nanodet_multiply_pairs(here, (uint32_t)four[2], c);
            g = nanodet_multiply_pairs(next, (uint32_t)four[2], g);
            d = nanodet_multiply_pairs(here, (uint32_t)four[3], d);
            h = nanodet_multiply_pairs(next, (uint32_t)four[3], h);
            IN_ORDER;
        }
    }
    const int32_t found[8] = {a, b, c, d, e, f, g, h};
    memcpy(sum, found, sizeof found);
}

static inline int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* Row y of the convolution, pooled along x, into `last`. */
static void convolve_row(const work *state, uint32_t y) {
    const nanodet_stem *stem = state->stem;
    uint32_t channels = stem->channels, columns = stem->width / 4u;
    for (uint32_t group = 0; group < channels; group += 4) {
        const int32_t *weight = stem->weight + group * NANODET_STEM_WORDS;
        const int32_t *bias = stem->bias + group;
        const int16_t *rows[3];
        for (uint32_t k = 0; k < 3; k++) rows[k] = state->lines[(2 * y + k) % NANODET_STEM_LINES];
        int32_t *target = state->last + group;
        int32_t sums[8], first[4];
        convolve(rows, weight, bias, sums);
        memcpy(first, sums, sizeof first);
        for (int k = 0; k < 3; k++) rows[k] += NEXT;
        for (uint32_t x = 0; x < columns; x++, target += channels) {
            convolve(rows, weight, bias, sums);
            bool edge = x + 1 == columns; /* The third position lies beyond it. */
            for (int k = 0; k < 4; k++) {
                int32_t best = larger(first[k], sums[k]);
                target[k] = edge ? best : larger(best, sums[4 + k]);
                first[k] = sums[4 + k];
            }
            for (int k = 0; k < 3; k++) rows[k] += 2 * NEXT;
        }
    }
}

static void widen(int32_t *best, const int32_t *other, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) best[i] = larger(best[i], other[i]);
}

/* Rounding rises with the sum, so the largest sum gives the largest int8. */
static void finish_row(const work *state, int8_t *output) {
    const nanodet_stem *stem = state->stem;
    const int8_t *activation = stem->activation + 128;
    const int32_t *sum = state->best;
    for (uint32_t x = 0; x < stem->width / 4u; x++) {
        for (uint32_t c = 0; c < stem->channels; c++) {
            int32_t value = nanodet_multiply(*sum++, stem->multiplier[c], stem->shift[c]);
            value += stem->output_zero_point;
            *output++ = activation[value < -128 ? -128 : value > 127 ? 127 : value];
        }
    }
}

static void run(work *state, int8_t *output) {
    const nanodet_stem *stem = state->stem;
    uint32_t count = stem->width / 4u * stem->channels;
    uint32_t rows = stem->height / 2u; /* Of the convolution. */
    fetch(state, 0);
    fetch(state, 1);
    fetch(state, 2);
    convolve_row(state, 0);
    for (uint32_t y = 1; y < rows; y++) {
        if (y % 2) { /* A new pooled row begins with the row before. */
            int32_t *swap = state->best;
            state->best = state->last;
            state->last = swap;
        }
        fetch(state, 2 * y + 1);
        fetch(state, 2 * y + 2);
        convolve_row(state, y);
        widen(state->best, state->last, count);
        if (y % 2 == 0 || y + 1 == rows) {
            finish_row(state, output);
            output += count;
        }
    }
}

nanodet_status nanodet_stem_s8(const nanodet_stem *stem, nanodet_row_source *source, void *context,
                               void *scratch, size_t scratch_bytes, int8_t *output,
                               size_t output_bytes) {
    nanodet_status status = nanodet_check_stem(stem);
    if (status != NANODET_OK) return status;
    if (source == NULL || scratch == NULL || output == NULL) return NANODET_NULL_POINTER;
    for (uint32_t i = 0; i < stem->channels; i++) {
        if (stem->multiplier[i] < 0 || stem->shift[i] < -31 || stem->shift[i] > 30) {
            return NANODET_BAD_MODEL;
        }
    }
    size_t pooled = (size_t)(stem->width / 4u) * (stem->height / 4u);
    if (output_bytes != pooled * stem->channels) return NANODET_BAD_BUFFER;
    size_t needed = nanodet_stem_s8_get_scratch_bytes(stem);
    if (!nanodet_aligned(scratch) || scratch_bytes < needed) return NANODET_BAD_SCRATCH;
    /* Sums first: they want the alignment. */
    work state = {.stem = stem, .source = source, .context = context};
    state.best = scratch;
    state.last = state.best + nanodet_stem_sums_bytes(stem) / 2 / sizeof *state.best;
    int16_t *lines = (int16_t *)((uint8_t *)scratch + nanodet_stem_sums_bytes(stem));
    for (uint32_t i = 0; i < NANODET_STEM_LINES; i++) {
        state.lines[i] = lines + i * nanodet_stem_line_length(stem);
    }
    run(&state, output);
    return NANODET_OK;
}
