#include "nanodet/kernels.h"

#include "nanodet_pairs.h"

static inline int8_t largest(const nanodet_row *rows, uint32_t count, size_t at) {
    int8_t best = rows[0].first[at];
    for (uint32_t i = 1; i < count; i++) {
        if (rows[i].first[at] > best) best = rows[i].first[at];
    }
    return best;
}

/* Channel c of output x. */
static void one(const nanodet_row *rows, uint32_t count, uint32_t width, const int8_t *activation,
                nanodet_row out, uint32_t x, uint32_t c) {
    int8_t best = -128;
    for (uint32_t at = 2 * x; at < 2 * x + 3 && at < width; at++) {
        int8_t value = largest(rows, count, (size_t)at * rows->pitch + c);
        if (value > best) best = value;
    }
    out.first[(size_t)x * out.pitch + c] = activation == NULL ? best : activation[best + 128];
}

#if defined(__ARM_FEATURE_DSP)
/* nanodet_max_columns.S */
void nanodet_max_columns(const int8_t *const rows[3], uint32_t pitch, int8_t *out,
                         const int8_t *activation, uint32_t out_pitch, uint32_t count);

/* Outputs that lie within the image, of whole words of channels: how many outputs. */
static uint32_t fast(const nanodet_row *rows, uint32_t count, uint32_t width,
                     const int8_t *activation, nanodet_row out, uint32_t out_width,
                     uint32_t channels) {
    uint32_t whole = (width - 1) / 2 < out_width ? (width - 1) / 2 : out_width;
    for (uint32_t c = 0; c < channels && whole != 0; c += 4) {
        const int8_t *from[3]; /* A row that is missing is another one again. */
        for (uint32_t i = 0; i < 3; i++) from[i] = rows[i < count ? i : 0].first + c;
        nanodet_max_columns(from, rows->pitch, out.first + c,
                            activation == NULL ? NULL : activation + 128, out.pitch, whole);
    }
    return whole;
}
#else
#define fast(rows, count, width, activation, out, out_width, channels) 0
#endif

void nanodet_max_pool_s8(const nanodet_row *rows, uint32_t count, uint32_t width,
                         const int8_t *activation, nanodet_row out, uint32_t out_width,
                         uint32_t channels) {
    uint32_t words = channels / 4 * 4;
    uint32_t done = fast(rows, count, width, activation, out, out_width, words);
    for (uint32_t x = 0; x < out_width; x++) {
        for (uint32_t c = x < done ? words : 0; c < channels; c++) {
            one(rows, count, width, activation, out, x, c);
        }
    }
}
