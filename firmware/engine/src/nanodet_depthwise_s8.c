#include "nanodet/kernels.h"

#include <string.h>

#include "nanodet_depthwise.h"
#include "nanodet_pairs.h"
#include "nanodet_requantize.h"

#define PARAMETERS 4 /* Bias, multiplier, offset, shift. */
#define NEXT_WORDS 8 /* From two words of a channel to the next two. */
#define MOST_WORDS 5

/* Bytes of two rows or columns as a word of each of four channels. */
NANODET_CODE
static void put(uint32_t *column, uint32_t word, uint32_t a, uint32_t b) {
    uint32_t *to = column + word / 2 * NEXT_WORDS + word % 2;
    to[0] = nanodet_lower(nanodet_even(a), nanodet_even(b));
    to[2] = nanodet_upper(nanodet_even(a), nanodet_even(b));
    to[4] = nanodet_lower(nanodet_odd(a), nanodet_odd(b));
    to[6] = nanodet_upper(nanodet_odd(a), nanodet_odd(b));
}

/* Four channels from `channel` on of pixel x of each row; padding where there is none. */
NANODET_CODE
static void load(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at, uint32_t count,
                 uint32_t channel, int32_t x, uint32_t *bytes) {
    int32_t last = (int32_t)at->width - 1, inside = x < 0 ? 0 : x > last ? last : x;
    bool padded = x != inside && !layer->repeats;
    for (uint32_t i = 0; i < count; i++) {
        const int8_t *row = at->rows[i];
        bytes[i] = padded || row == NULL ? (uint8_t)layer->input_zero_point * 0x1010101u
                                         : nanodet_load(row + inside * at->pitch + channel);
    }
}

/* One column, see nanodet_depthwise.h. x: of the image's first one. */
static void pack(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                 uint32_t channel, int32_t x, uint32_t kernel, uint32_t stride,
                 uint32_t *column) {
    uint32_t one[NANODET_DEPTHWISE_MAX_ROWS + 1], other[NANODET_DEPTHWISE_MAX_ROWS];
    uint32_t count = stride == 1 ? kernel + 1 : kernel, whole = kernel / 2, word = 0;
    load(layer, at, count, channel, x, one);
    if (stride == 1) {
        one[count] = 0; /* Beside the last of an odd number of rows. */
        for (uint32_t i = 0; i < count; i += 2) put(column, word++, one[i], one[i + 1]);
        return;
    }
    load(layer, at, count, channel, x + 1, other);
    for (uint32_t i = 0; i < whole; i++) put(column, word++, one[2 * i], one[2 * i + 1]);
    if (kernel % 2) put(column, word++, one[kernel - 1], other[kernel - 1]);
    for (uint32_t i = 0; i < whole; i++) put(column, word++, other[2 * i], other[2 * i + 1]);
}

/* The kernel's rows by one column of a channel into a sum of each of two rows. */
static void tap(const uint32_t *column, const uint32_t *w, uint32_t kernel, int32_t sum[2]) {
    uint32_t x[MOST_WORDS];
    for (uint32_t i = 0; i < (kernel + 2) / 2; i++) x[i] = column[i / 2 * NEXT_WORDS + i % 2];
    for (uint32_t i = 0; 2 * i + 1 < kernel; i++) {
        sum[0] = nanodet_multiply_pairs(x[i], w[2 * i], sum[0]);
    }
    sum[1] = nanodet_multiply_upper_lower(x[0], w[0], sum[1]);
    for (uint32_t i = 1; 2 * i < kernel; i++) {
        sum[1] = nanodet_multiply_pairs(x[i], w[2 * i - 1], sum[1]);
    }
    int32_t *rest = sum + (kernel % 2 ? 0 : 1);
    *rest = nanodet_multiply_lower_upper(x[kernel / 2], w[kernel - 2], *rest);
}

/* The whole kernel by two columns of the image at a time. */
static int32_t leap(const uint32_t *column, const uint32_t *w, uint32_t kernel, int32_t sum) {
    uint32_t weights = nanodet_depthwise_weights(kernel, 2);
    for (uint32_t i = 0; i < weights; i++) {
        uint32_t word = i % kernel;
        if (i != 0 && word == 0) column += nanodet_depthwise_column(kernel, 2);
        sum = nanodet_multiply_pairs(column[word / 2 * NEXT_WORDS + word % 2], w[i], sum);
    }
    return sum;
}

/* One channel. columns: from its first word on. */
static void convolve(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                     const int32_t *stream, const uint32_t *columns, uint32_t channel,
                     uint32_t kernel, uint32_t stride) {
    uint32_t step = nanodet_depthwise_column(kernel, stride);
    const uint32_t *weight = (const uint32_t *)stream + PARAMETERS;
    for (uint32_t x = 0; x < at->out_width; x++, columns += step) {
        int32_t sum[2] = {stream[0], stream[0]};
        if (stride == 2) sum[0] = leap(columns, weight, kernel, sum[0]);
        for (uint32_t i = 0; stride == 1 && i < kernel; i++) {
            tap(columns + i * step, weight + i * (kernel - 1), kernel, sum);
        }
        for (uint32_t row = 0; row < 2 && at->out[row] != NULL; row++) {
            int32_t value = nanodet_requantize(sum[row], stream + 1);
            at->out[row][x * at->out_pitch + channel] =
                layer->activation != NULL ? layer->activation[value + 128] : (int8_t)value;
        }
    }
}

#if defined(__ARM_FEATURE_DSP)
/* nanodet_depthwise_rows.S */
typedef void channel_loop(const uint32_t *columns, const int32_t *stream, int8_t *out,
                          int32_t row_bytes, uint32_t pitch, const uint32_t *end,
                          const int8_t *activation);
typedef void pack_loop(const int8_t *const *rows, uint32_t pitch, uint32_t *columns,
                       const uint32_t *end);
channel_loop nanodet_depthwise_31, nanodet_depthwise_32, nanodet_depthwise_42,
    nanodet_depthwise_51, nanodet_depthwise_52, nanodet_depthwise_plain_31,
    nanodet_depthwise_plain_32, nanodet_depthwise_plain_42, nanodet_depthwise_plain_51,
    nanodet_depthwise_plain_52;
pack_loop nanodet_depthwise_pack_31, nanodet_depthwise_pack_32, nanodet_depthwise_pack_42,
    nanodet_depthwise_pack_51, nanodet_depthwise_pack_52;
typedef struct {
    channel_loop *active, *plain;
    pack_loop *pack;
} form;

static const form forms[3][2] = {
    {{nanodet_depthwise_31, nanodet_depthwise_plain_31, nanodet_depthwise_pack_31},
     {nanodet_depthwise_32, nanodet_depthwise_plain_32, nanodet_depthwise_pack_32}},
    {{NULL, NULL, NULL},
     {nanodet_depthwise_42, nanodet_depthwise_plain_42, nanodet_depthwise_pack_42}},
    {{nanodet_depthwise_51, nanodet_depthwise_plain_51, nanodet_depthwise_pack_51},
     {nanodet_depthwise_52, nanodet_depthwise_plain_52, nanodet_depthwise_pack_52}},
};
#define FORM(layer) (&forms[(layer)->kernel - 3][(layer)->stride - 1])
#define FAST(layer) (FORM(layer)->pack != NULL && !(layer)->any_shift)

/* Padding in a half of a word of each column. */
static void pad(uint32_t *to, uint32_t step, uint32_t columns, uint32_t word, uint32_t half,
                int16_t padding) {
    int8_t *at = (int8_t *)(to + word / 2 * NEXT_WORDS + word % 2) + 2 * half;
    for (const int8_t *end = at + 4 * step * columns; at < end; at += 4 * step) {
        memcpy(at, &padding, sizeof padding);
        memcpy(at + 8, &padding, sizeof padding);
        memcpy(at + 16, &padding, sizeof padding);
        memcpy(at + 24, &padding, sizeof padding);
    }
}

/* The columns from pixel x on that hold no padding at their sides: how many. */
static uint32_t pack_fast(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                          uint32_t channel, uint32_t x, uint32_t columns, uint32_t *to) {
    const int8_t *rows[NANODET_DEPTHWISE_MAX_ROWS];
    uint32_t kernel = layer->kernel, stride = layer->stride, count = kernel + (stride == 1);
    uint32_t step = nanodet_depthwise_column(kernel, stride), whole = (at->width - x) / stride;
    const int8_t *there = at->rows[count / 2]; /* Stands in for rows of padding. */
    if (whole > columns) whole = columns;
    if (there == NULL || whole == 0) return 0;
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = (at->rows[i] == NULL ? there : at->rows[i]) + x * at->pitch + channel;
    }
    FORM(layer)->pack(rows, at->pitch, to, to + step * whole);
    for (uint32_t i = 0; i < count; i++) {
        if (at->rows[i] != NULL) continue;
        bool last = i + 1 == kernel && kernel % 2; /* Of both columns in one word. */
        pad(to, step, whole, i / 2, i % 2, layer->input_zero_point);
        if (stride == 1) continue;
        pad(to, step, whole, last ? i / 2 : kernel - kernel / 2 + i / 2, last ? 1 : i % 2,
            layer->input_zero_point);
    }
    return whole;
}

/* As `convolve`, two outputs of a row at a time. */
static void convolve_fast(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                          const int32_t *stream, const uint32_t *columns, uint32_t channel,
                          uint32_t kernel, uint32_t stride) {
    uint32_t two = 2 * nanodet_depthwise_column(kernel, stride);
    const int8_t *activation = layer->activation;
    channel_loop *loop = activation == NULL ? FORM(layer)->plain : FORM(layer)->active;
    if (activation != NULL) activation += 128;
    int8_t *out = at->out[0] + channel;
    int32_t below = at->out[1] == NULL ? 0 : (int32_t)(at->out[1] - at->out[0]);
    const uint32_t *end = columns + two * (at->out_width / 2u);
    if (end != columns) loop(columns, stream, out, below, at->out_pitch, end, activation);
    if (at->out_width % 2u == 0) return;
    int8_t last[4]; /* Upper and lower row of the last column, and of one that is nobody's. */
    loop(end, stream, last, 1, 2, end + two, activation);
    out += (at->out_width - 1u) * at->out_pitch;
    if (below != 0) out[below] = last[1];
    *out = last[0];
}
#else
#define FAST(layer) 0
#define pack_fast(layer, at, channel, x, columns, to) 0
#define convolve_fast convolve
#endif

void nanodet_depthwise_s8(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                          uint32_t *scratch) {
    uint32_t kernel = layer->kernel, stride = layer->stride;
    uint32_t step = nanodet_depthwise_column(kernel, stride);
    uint32_t columns = nanodet_depthwise_columns(kernel, stride, at->out_width);
    uint32_t before = (at->left + stride - 1) / stride; /* That hold padding. */
    bool fast = FAST(layer);
    const int32_t *stream = layer->stream;
    for (uint32_t channel = 0; channel < layer->channels; channel += NANODET_AT_ONCE) {
        for (uint32_t i = 0; i < columns; i++) {
            if (fast && i == before) {
                i += pack_fast(layer, at, channel, i * stride - at->left, columns - i,
                               scratch + i * step);
                if (i >= columns) break;
            }
            int32_t x = (int32_t)(i * stride) - at->left;
            bool nothing = x + (int32_t)stride <= 0 || x >= at->width; /* But padding: it stays. */
            if (nothing && channel != 0 && !layer->repeats) continue;
            pack(layer, at, channel, x, kernel, stride, scratch + i * step);
        }
        for (uint32_t j = 0; j < NANODET_AT_ONCE && channel + j < layer->channels; j++) {
            const uint32_t *from = scratch + nanodet_depthwise_at(j);
            if (fast) {
                convolve_fast(layer, at, stream, from, channel + j, kernel, stride);
            } else {
                convolve(layer, at, stream, from, channel + j, kernel, stride);
            }
            stream += PARAMETERS + nanodet_depthwise_weights(kernel, stride);
        }
    }
}
