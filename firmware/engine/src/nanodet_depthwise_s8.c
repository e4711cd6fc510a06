#include "nanodet/kernels.h"

#include <string.h>

#include "nanodet_depthwise.h"
#include "nanodet_pairs.h"
#include "nanodet_requantize.h"

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 8")
#else
#define INLINE static inline
#define UNROLLED
#endif

#define PARAMETERS 4 /* Bias, multiplier, offset, shift. */

/* Four channels of a column, as pairs of rows; a channel's columns follow each other. */
INLINE void pack(const int8_t *const rows[], const uint32_t steps[], uint32_t count, uint32_t pairs,
                 uint32_t columns, uint32_t plane, uint32_t *to) {
    const int8_t *from[NANODET_DEPTHWISE_MAX_ROWS];
    for (uint32_t i = 0; i < count; i++) from[i] = rows[i];
    for (uint32_t x = 0; x < columns; x++, to += pairs) {
        UNROLLED
        for (uint32_t p = 0; p < pairs; p++) {
            uint32_t a = nanodet_load(from[2 * p]);
            uint32_t b = 2 * p + 1 < count ? nanodet_load(from[2 * p + 1]) : 0;
            uint32_t even_a = nanodet_even(a), even_b = nanodet_even(b);
            uint32_t odd_a = nanodet_odd(a), odd_b = nanodet_odd(b);
            to[p] = nanodet_lower(even_a, even_b);
            to[plane + p] = nanodet_lower(odd_a, odd_b);
            to[2 * plane + p] = nanodet_upper(even_a, even_b);
            to[3 * plane + p] = nanodet_upper(odd_a, odd_b);
        }
        UNROLLED
        for (uint32_t i = 0; i < count; i++) from[i] += steps[i];
    }
}

/* Repeat the first and the last of `here` columns beside them. */
static void repeat(uint32_t *plane, uint32_t pairs, uint32_t left, uint32_t here,
                   uint32_t columns) {
    uint32_t *first = plane + left * pairs, *end = first + here * pairs;
    for (uint32_t *to = plane; to < first; to++) *to = first[(size_t)(to - plane) % pairs];
    for (uint32_t *to = end; to < plane + columns * pairs; to++) *to = to[-(ptrdiff_t)pairs];
}

static void fill(uint32_t *to, uint32_t words, uint32_t word) {
    for (uint32_t i = 0; i < words; i++) to[i] = word;
}

/* One column of the kernel into the sums of one column of outputs, of two rows with stride 1. */
INLINE void tap(const uint32_t *x, const uint32_t *w, uint32_t kernel, uint32_t stride,
                int32_t sum[2]) {
    UNROLLED
    for (uint32_t i = 0; 2 * i + 1 < kernel; i++) {
        sum[0] = nanodet_multiply_pairs(x[i], w[stride == 1 ? 2 * i : i], sum[0]);
    }
    if (stride == 1) {
        if (kernel % 2) sum[0] = nanodet_multiply_lower_upper(x[kernel / 2], w[kernel - 2], sum[0]);
        sum[1] = nanodet_multiply_upper_lower(x[0], w[0], sum[1]);
        UNROLLED
        for (uint32_t i = 1; 2 * i < kernel; i++) {
            sum[1] = nanodet_multiply_pairs(x[i], w[2 * i - 1], sum[1]);
        }
        if (kernel % 2 == 0) {
            sum[1] = nanodet_multiply_lower_upper(x[kernel / 2], w[kernel - 2], sum[1]);
        }
    } else if (kernel % 2) {
        sum[0] = nanodet_multiply_pairs(x[kernel / 2], w[kernel / 2], sum[0]);
    }
}

static inline int8_t finish(int32_t sum, const int32_t *rule, const int8_t *activation) {
    int32_t value = nanodet_requantize(sum, rule);
    return activation != NULL ? activation[value + 128] : (int8_t)value;
}

/* One channel from `first` on. plane: its columns as pairs of rows. */
INLINE void convolve(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                     const int32_t *stream, const uint32_t *plane, uint32_t channel,
                     uint32_t kernel, uint32_t stride) {
    uint32_t pairs = nanodet_depthwise_pairs(kernel, stride);
    uint32_t words = nanodet_depthwise_words(kernel, stride);
    const uint32_t *weight = (const uint32_t *)stream + PARAMETERS;
    for (uint32_t x = 0; x < at->out_width; x++) {
        int32_t sum[2] = {stream[0], stream[0]};
        UNROLLED
        for (uint32_t column = 0; column < kernel; column++) {
            tap(plane + column * pairs, weight + column * words, kernel, stride, sum);
        }
        for (uint32_t row = 0; row < 2 && at->out[row] != NULL; row++) {
            at->out[row][x * at->out_pitch + channel] =
                finish(sum[row], stream + 1, layer->activation);
        }
        plane += stride * pairs;
    }
}

#if defined(__ARM_FEATURE_DSP)
/* nanodet_depthwise_rows.S */
typedef void channel_loop(const uint32_t *columns, const int32_t *stream, int8_t *out,
                          int32_t row_bytes, uint32_t pitch, const uint32_t *end,
                          const int8_t *activation);
typedef void pack_loop(const int8_t *const *rows, uint32_t pitch, uint32_t *columns,
                       const uint32_t *end, uint32_t plane_bytes);
channel_loop nanodet_depthwise_3_s1, nanodet_depthwise_3_s1_plain, nanodet_depthwise_5_s1,
    nanodet_depthwise_5_s1_plain, nanodet_depthwise_3_s2, nanodet_depthwise_3_s2_plain,
    nanodet_depthwise_5_s2, nanodet_depthwise_5_s2_plain;
pack_loop nanodet_depthwise_pack_3, nanodet_depthwise_pack_4, nanodet_depthwise_pack_5,
    nanodet_depthwise_pack_6;
#define ROW_LOOPS(kernel, stride, active)                                                    \
    ((active) ? ((kernel) == 3 ? ((stride) == 1 ? nanodet_depthwise_3_s1 : nanodet_depthwise_3_s2)   \
                               : ((stride) == 1 ? nanodet_depthwise_5_s1 : nanodet_depthwise_5_s2))  \
              : ((kernel) == 3 ? ((stride) == 1 ? nanodet_depthwise_3_s1_plain               \
                                                : nanodet_depthwise_3_s2_plain)              \
                               : ((stride) == 1 ? nanodet_depthwise_5_s1_plain               \
                                                : nanodet_depthwise_5_s2_plain)))
#define FAST(kernel, any_shift) ((kernel) != 4 && !(any_shift))

INLINE void pack_rows(const int8_t *const rows[], uint32_t pitch, uint32_t count, uint32_t pairs,
                      uint32_t columns, uint32_t plane, uint32_t *to) {
    pack_loop *loops[] = {nanodet_depthwise_pack_3, nanodet_depthwise_pack_4,
                          nanodet_depthwise_pack_5, nanodet_depthwise_pack_6};
    loops[count - 3](rows, pitch, to, to + pairs * columns, 4 * plane);
}

/* As `convolve`, two columns at a time. */
INLINE void convolve_fast(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                          const int32_t *stream, const uint32_t *plane, uint32_t channel,
                          uint32_t kernel, uint32_t stride) {
    uint32_t two = 2 * stride * nanodet_depthwise_pairs(kernel, stride);
    channel_loop *loop = ROW_LOOPS(kernel, stride, layer->activation != NULL);
    const int8_t *activation = layer->activation + (layer->activation != NULL ? 128 : 0);
    int8_t *out = at->out[0] + channel;
    int32_t below = at->out[1] == NULL ? 0 : (int32_t)(at->out[1] - at->out[0]);
    const uint32_t *end = plane + two * (at->out_width / 2u);
    if (end != plane) loop(plane, stream, out, below, at->out_pitch, end, activation);
    if (at->out_width % 2u == 0) return;
    int8_t last[4]; /* Upper and lower row of the last column, and of one that is nobody's. */
    loop(end, stream, last, 1, 2, end + two, activation);
    out += (at->out_width - 1u) * at->out_pitch;
    if (below != 0) out[below] = last[1];
    *out = last[0];
}
#else
#define FAST(kernel, any_shift) 0
#define pack_rows(rows, pitch, count, pairs, columns, plane, to) ((void)0)
#define convolve_fast convolve
#endif

INLINE void run(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                uint32_t *scratch, uint32_t kernel, uint32_t stride) {
    uint32_t pairs = nanodet_depthwise_pairs(kernel, stride);
    uint32_t columns = nanodet_depthwise_columns(kernel, stride, at->out_width);
    uint32_t plane = pairs * columns, count = kernel + (stride == 1 ? 1 : 0);
    uint32_t here = at->left + at->width > columns ? columns - at->left : at->width;
    uint32_t zero = (uint32_t)(uint16_t)layer->input_zero_point * 0x10001u;
    int8_t pad[4];
    bool padded = false;
    memset(pad, layer->input_zero_point, sizeof pad);
    for (uint32_t i = 0; i < count; i++) padded |= at->rows[i] == NULL;
    for (uint32_t j = 0; j < NANODET_AT_ONCE; j++) {
        uint32_t *from = scratch + j * plane;
        fill(from, at->left * pairs, zero);
        fill(from + (at->left + here) * pairs, plane - (at->left + here) * pairs, zero);
    }
    bool fast = FAST(kernel, layer->any_shift);
    const int32_t *stream = layer->stream;
    for (uint32_t channel = 0; channel < layer->channels; channel += NANODET_AT_ONCE) {
        const int8_t *rows[NANODET_DEPTHWISE_MAX_ROWS];
        uint32_t steps[NANODET_DEPTHWISE_MAX_ROWS], *to = scratch + at->left * pairs;
        for (uint32_t i = 0; i < count; i++) {
            rows[i] = at->rows[i] == NULL ? pad : at->rows[i] + channel;
            steps[i] = at->rows[i] == NULL ? 0 : at->pitch;
        }
        if (fast && !padded) {
            pack_rows(rows, at->pitch, count, pairs, here, plane, to);
        } else {
            pack(rows, steps, count, pairs, here, plane, to);
        }
        for (uint32_t j = 0; j < NANODET_AT_ONCE && channel + j < layer->channels; j++) {
            uint32_t *from = scratch + j * plane;
            if (layer->repeats) repeat(from, pairs, at->left, here, columns);
            if (fast) {
                convolve_fast(layer, at, stream, from, channel + j, kernel, stride);
            } else {
                convolve(layer, at, stream, from, channel + j, kernel, stride);
            }
            stream += PARAMETERS + kernel * nanodet_depthwise_words(kernel, stride);
        }
    }
}

void nanodet_depthwise_s8(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                          uint32_t *scratch) {
    switch (layer->kernel * 2 + layer->stride) {
        case 3 * 2 + 1: run(layer, at, scratch, 3, 1); break;
        case 3 * 2 + 2: run(layer, at, scratch, 3, 2); break;
        case 4 * 2 + 1: run(layer, at, scratch, 4, 1); break;
        case 4 * 2 + 2: run(layer, at, scratch, 4, 2); break;
        case 5 * 2 + 1: run(layer, at, scratch, 5, 1); break;
        case 5 * 2 + 2: run(layer, at, scratch, 5, 2); break;
        default: break; /* Refused when the network is opened. */
    }
}
