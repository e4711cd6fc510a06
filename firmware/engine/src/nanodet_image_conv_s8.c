#include "nanodet/kernels.h"

#include "nanodet_conv.h"
#include "nanodet_pairs.h"

#define STEP 6    /* Bytes from one output's pixels to those of the next. */
#define WINDOW 9  /* Bytes of three pixels of a row. */
#define INPUTS 28 /* Of three rows, in whole words. */
#define GREY_STEP 2
#define GREY_WINDOW 3
#define GREY_INPUTS 12

#if defined(__ARM_FEATURE_DSP)
/* nanodet_image_widen.S */
void nanodet_image_widen_2(const int8_t *a, const int8_t *b, const int8_t *c, uint32_t *pairs,
                           uint32_t last_step);
void nanodet_image_widen_3(const int8_t *a, const int8_t *b, const int8_t *c, uint32_t *pairs,
                           uint32_t last_step);

static void widen(const int8_t *const rows[3], uint32_t x, uint32_t last_step, uint32_t count,
                  uint32_t *pairs) {
    const int8_t *a = rows[0] + STEP * x, *b = rows[1] + STEP * x, *c = rows[2] + last_step * x;
    if (count == 3) {
        nanodet_image_widen_3(a, b, c, pairs, last_step);
    } else {
        nanodet_image_widen_2(a, b, c, pairs, last_step);
    }
}
#else
static void widen(const int8_t *const rows[3], uint32_t x, uint32_t last_step, uint32_t count,
                  uint32_t *pairs) {
    int8_t bytes[NANODET_CONV_MOST][INPUTS] = {{0}};
    static const uint8_t ninth[3] = {24, 26, 25}; /* Where the rows' last bytes go. */
    for (uint32_t p = 0; p < count; p++) {
        for (uint32_t row = 0; row < 3; row++) {
            const int8_t *from = rows[row] + (row == 2 ? last_step : STEP) * (x + p);
            for (uint32_t i = 0; i + 1 < WINDOW; i++) bytes[p][8 * row + i] = from[i];
            bytes[p][ninth[row]] = from[WINDOW - 1];
        }
    }
    nanodet_conv_widen(bytes[0], INPUTS, count, INPUTS, pairs);
}
#endif

static void widen_grey(const int8_t *const rows[3], uint32_t x, uint32_t last_step, uint32_t count,
                       uint32_t *pairs) {
    int8_t bytes[NANODET_CONV_MOST][GREY_INPUTS] = {{0}};
    for (uint32_t p = 0; p < count; p++) {
        for (uint32_t i = 0; i < GREY_WINDOW; i++) {
            bytes[p][i] = rows[0][GREY_STEP * (x + p) + i];
            bytes[p][GREY_WINDOW + i] = rows[1][GREY_STEP * (x + p) + i];
            bytes[p][2 * GREY_WINDOW + i] = rows[2][last_step * (x + p) + i];
        }
    }
    nanodet_conv_widen(bytes[0], GREY_INPUTS, count, GREY_INPUTS, pairs);
}

void nanodet_image_conv_s8(const nanodet_conv *layer, const int8_t *const rows[3],
                           int8_t zero_point, nanodet_row target, uint32_t pixels,
                           uint32_t *scratch) {
    int8_t padding[WINDOW];
    const int8_t *from[3] = {rows[0], rows[1], rows[2]};
    const int32_t *end = nanodet_conv_at(layer, layer->outputs);
    bool grey = layer->inputs == GREY_INPUTS;
    uint32_t last_step = grey ? GREY_STEP : STEP;
    if (rows[2] == NULL) {
        for (uint32_t i = 0; i < WINDOW; i++) padding[i] = zero_point;
        from[2] = padding;
        last_step = 0;
    }
    for (uint32_t x = 0, turn; x < pixels; x += turn) {
        turn = nanodet_conv_turn(layer, pixels - x);
        nanodet_row out = {target.first + (size_t)x * target.pitch, target.pitch};
        (grey ? widen_grey : widen)(from, x, last_step, turn, scratch);
        nanodet_conv_pixels(layer, scratch, turn, layer->stream, end, out);
    }
}
