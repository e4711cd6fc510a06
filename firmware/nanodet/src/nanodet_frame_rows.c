#include <string.h>

#include "nanodet/preprocess.h"
#include "nanodet_check.h"
#include "nanodet_pairs.h"
#include "nanodet_pixels.h"
#include "nanodet_taps.h"

#define BLACK (-128)
#define MOST_PIXEL_BYTES 3

static const uint8_t PIXEL_BYTES[] = {2, 3, 3, 2, 1};

/* Where a row of the canvas goes: its first pixel, the step to the next, and which byte of a pixel
 * is red. */
typedef struct {
    int8_t *first;
    int32_t step;
    uint32_t red;
} destination;

static inline void put(int8_t *at, uint32_t red, nanodet_rgb pixel) {
    at[red] = (int8_t)(pixel.red - 128);
    at[1] = (int8_t)(pixel.green - 128);
    at[2 - red] = (int8_t)(pixel.blue - 128);
}

/* A canvas row of the nearest pixels; columns: source index of each, or NANODET_OUTSIDE. */
#define DEFINE_NEAREST(name, pixel_of)                                                    \
    static void name(const uint8_t *row, const uint16_t *columns, uint32_t width,         \
                     const destination *to) {                                             \
        static const nanodet_rgb black = {0, 0, 0};                                       \
        int8_t *at = to->first;                                                           \
        for (uint32_t x = 0; x < width; x++, at += to->step) {                            \
            uint32_t column = columns[x];                                                 \
            put(at, to->red, column == NANODET_OUTSIDE ? black : pixel_of(row, column));  \
        }                                                                                 \
    }

DEFINE_NEAREST(nearest_rgb565, nanodet_from_rgb565)
DEFINE_NEAREST(nearest_rgb888, nanodet_from_rgb888)
DEFINE_NEAREST(nearest_bgr888, nanodet_from_bgr888)
DEFINE_NEAREST(nearest_yuyv, nanodet_from_yuyv)
DEFINE_NEAREST(nearest_grey8, nanodet_from_grey8)

/* Rows and their weights. The result is rounded to whole grey levels by `shift` bits. */
typedef struct {
    const uint8_t *upper, *lower;
    uint32_t weight_upper, weight_lower;
    uint32_t shift;
} blend;

/* (p00 wx0 + p01 wx1) wy0 + (p10 wx0 + p11 wx1) wy1 of each colour; the sum begins with half a grey
 * level, and with the 128 that are taken off. */
#define COLOUR(c)                                                                         \
    (int8_t)(uint8_t)((start +                                                            \
                       (uint32_t)nanodet_multiply_pairs(p.c, weights, 0) * of.weight_upper + \
                       (uint32_t)nanodet_multiply_pairs(q.c, weights, 0) * of.weight_lower) >> \
                      of.shift)
#define DEFINE_BILINEAR(name, pair_of)                                                    \
    static void name(blend of, const nanodet_column *columns, uint32_t width,             \
                     const destination *to) {                                             \
        uint32_t start = (1u << (of.shift - 1)) - (128u << of.shift), red = to->red;      \
        int32_t step = to->step;                                                          \
        int8_t *at = to->first;                                                           \
        for (const nanodet_column *x = columns; x < columns + width; x++, at += step) {   \
            uint32_t weights = x->weights;                                                \
            nanodet_rgb_pair p = pair_of(of.upper, x->first), q = pair_of(of.lower, x->first); \
            at[red] = COLOUR(red);                                                        \
            at[1] = COLOUR(green);                                                        \
            at[2 - red] = COLOUR(blue);                                                   \
        }                                                                                 \
    }

DEFINE_BILINEAR(bilinear_rgb565, nanodet_pair_rgb565)
DEFINE_BILINEAR(bilinear_rgb888, nanodet_pair_rgb888)
DEFINE_BILINEAR(bilinear_bgr888, nanodet_pair_bgr888)
DEFINE_BILINEAR(bilinear_yuyv, nanodet_pair_yuyv)
DEFINE_BILINEAR(bilinear_grey8, nanodet_pair_grey8)

/* The same for a network of one channel. */
#define BOTH(luma_of, row) luma_of(row, at) | (uint32_t)luma_of(row, at + 1) << 16
#define DEFINE_GREY(nearest, bilinear, luma_of)                                           \
    static void nearest(const uint8_t *row, const uint16_t *columns, uint32_t width,      \
                        const destination *to) {                                          \
        int8_t *pixel = to->first;                                                        \
        for (uint32_t x = 0; x < width; x++, pixel += to->step) {                         \
            uint32_t at = columns[x];                                                     \
            *pixel = (int8_t)((at == NANODET_OUTSIDE ? 0 : luma_of(row, at)) - 128);      \
        }                                                                                 \
    }                                                                                     \
    static void bilinear(blend of, const nanodet_column *columns, uint32_t width,         \
                         const destination *to) {                                         \
        uint32_t start = (1u << (of.shift - 1)) - (128u << of.shift);                     \
        int8_t *pixel = to->first;                                                        \
        for (uint32_t x = 0; x < width; x++, pixel += to->step) {                         \
            uint32_t at = columns[x].first, weights = columns[x].weights;                 \
            struct { uint32_t grey; } p = {BOTH(luma_of, of.upper)},                      \
                                      q = {BOTH(luma_of, of.lower)};                      \
            *pixel = COLOUR(grey);                                                        \
        }                                                                                 \
    }

DEFINE_GREY(grey_nearest_rgb565, grey_bilinear_rgb565, nanodet_luma_rgb565)
DEFINE_GREY(grey_nearest_rgb888, grey_bilinear_rgb888, nanodet_luma_rgb888)
DEFINE_GREY(grey_nearest_bgr888, grey_bilinear_bgr888, nanodet_luma_bgr888)
DEFINE_GREY(grey_nearest_yuyv, grey_bilinear_yuyv, nanodet_luma_yuyv)
DEFINE_GREY(grey_nearest_grey8, grey_bilinear_grey8, nanodet_luma_grey8)

typedef void nearest_row(const uint8_t *, const uint16_t *, uint32_t, const destination *);
typedef void bilinear_row(blend, const nanodet_column *, uint32_t, const destination *);

/* Of networks of three channels and of one, by the frame's format. */
static nearest_row *const NEAREST[2][5] = {
    {nearest_rgb565, nearest_rgb888, nearest_bgr888, nearest_yuyv, nearest_grey8},
    {grey_nearest_rgb565, grey_nearest_rgb888, grey_nearest_bgr888, grey_nearest_yuyv,
     grey_nearest_grey8},
};
static bilinear_row *const BILINEAR[2][5] = {
    {bilinear_rgb565, bilinear_rgb888, bilinear_bgr888, bilinear_yuyv, bilinear_grey8},
    {grey_bilinear_rgb565, grey_bilinear_rgb888, grey_bilinear_bgr888, grey_bilinear_yuyv,
     grey_bilinear_grey8},
};

static const uint8_t *row_of(const nanodet_frame *frame, uint32_t y) {
    return frame->pixels + (size_t)y * frame->row_bytes;
}

/* A row of a canvas from two of the frame, of which the second may weigh nothing. */
static void blend_rows(const nanodet_frame_rows *rows, nanodet_tap y, destination to) {
    const nanodet_frame *frame = rows->frame;
    uint32_t bytes = PIXEL_BYTES[frame->format];
    uint8_t twice[2][2 * MOST_PIXEL_BYTES];
    blend of = {row_of(frame, y.first), row_of(frame, y.weight_second ? y.second : y.first),
                y.weight_first, y.weight_second, rows->model->keep_ratio ? 10 : 22};
    if (frame->width == 1) { /* The only pixel has no neighbour. */
        for (uint32_t i = 0; i < 2 * bytes; i++) {
            twice[0][i] = of.upper[i % bytes];
            twice[1][i] = of.lower[i % bytes];
        }
        of.upper = twice[0];
        of.lower = twice[1];
    }
    to.first += (int32_t)rows->first * to.step;
    const nanodet_column *columns = (const nanodet_column *)rows->columns + rows->first;
    BILINEAR[rows->model->grey][frame->format](of, columns, rows->count, &to);
}

static nanodet_status check_frame(const nanodet_frame *frame) {
    if (frame->pixels == NULL) return NANODET_NULL_POINTER;
    if ((uint32_t)frame->format > NANODET_GREY8) return NANODET_BAD_FRAME;
    if (frame->width == 0 || frame->width > NANODET_MAX_FRAME) return NANODET_BAD_FRAME;
    if (frame->height == 0 || frame->height > NANODET_MAX_FRAME) return NANODET_BAD_FRAME;
    if (frame->format == NANODET_YUYV && (frame->width & 1)) return NANODET_BAD_FRAME;
    uint64_t row = (uint64_t)PIXEL_BYTES[frame->format] * frame->width;
    if (frame->row_bytes < row) return NANODET_BAD_FRAME;
    uint64_t needed = (uint64_t)frame->row_bytes * (frame->height - 1u) + row;
    return frame->bytes < needed ? NANODET_BAD_BUFFER : NANODET_OK;
}

nanodet_status nanodet_frame_rows_init(nanodet_frame_rows *rows, const nanodet_model *model,
                                       const nanodet_frame *frame, nanodet_resize resize,
                                       void *scratch, size_t scratch_bytes) {
    nanodet_status status = nanodet_check_canvas(model);
    if (status != NANODET_OK) return status;
    if (rows == NULL || frame == NULL || scratch == NULL) return NANODET_NULL_POINTER;
    status = check_frame(frame);
    if (status != NANODET_OK) return status;
    if ((uint32_t)resize > NANODET_BILINEAR) return NANODET_BAD_OPTION;
    size_t needed = nanodet_preprocess_s8_get_scratch_bytes(model);
    if (!nanodet_aligned(scratch) || scratch_bytes < needed) return NANODET_BAD_SCRATCH;
    rows->model = model;
    rows->frame = frame;
    rows->resize = resize;
    rows->columns = scratch;
    nanodet_axes(model, frame->width, frame->height, rows->axes);
    rows->first = rows->count = 0;
    for (int32_t x = 0; x < model->width; x++) {
        if (resize == NANODET_NEAREST) {
            ((uint16_t *)scratch)[x] = nanodet_nearest(&rows->axes[0], x);
            continue;
        }
        nanodet_column column = nanodet_bilinear_column(&rows->axes[0], x);
        ((nanodet_column *)scratch)[x] = column;
        if (column.weights == 0) continue;
        if (rows->count == 0) rows->first = (uint32_t)x;
        rows->count = (uint32_t)x + 1 - rows->first;
    }
    return NANODET_OK;
}

void nanodet_frame_row(void *context, uint32_t y, int8_t *row) {
    const nanodet_frame_rows *rows = context;
    const nanodet_model *model = rows->model;
    const nanodet_frame *frame = rows->frame;
    uint32_t width = model->width, bytes = nanodet_row_bytes(model);
    destination to = {row, model->grey ? 1 : 3, model->bgr ? 2u : 0u};
    if (model->rotated_180) {
        to.first = row + bytes - to.step;
        to.step = -to.step;
        y = model->height - 1u - y;
    }
    if (rows->resize == NANODET_NEAREST) {
        uint16_t nearest = nanodet_nearest(&rows->axes[1], (int32_t)y);
        if (nearest == NANODET_OUTSIDE) {
            memset(row, BLACK, bytes);
        } else {
            NEAREST[model->grey][frame->format](row_of(frame, nearest), rows->columns, width, &to);
        }
        return;
    }
    nanodet_tap tap = nanodet_bilinear_tap(&rows->axes[1], (int32_t)y);
    bool black = tap.weight_first == 0 && tap.weight_second == 0;
    if (black || rows->count < width) memset(row, BLACK, bytes);
    if (!black) blend_rows(rows, tap, to);
}
