#include <string.h>

#include "nanodet/preprocess.h"
#include "nanodet_check.h"
#include "nanodet_pixels.h"
#include "nanodet_taps.h"

#define BLACK (-128)

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

static void fill(const destination *to, uint32_t width) {
    int8_t *start = to->step < 0 ? to->first + 3 - 3 * (int32_t)width : to->first;
    memset(start, BLACK, 3u * width);
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

typedef void nearest_row(const uint8_t *, const uint16_t *, uint32_t, const destination *);

static nearest_row *const NEAREST[] = {nearest_rgb565, nearest_rgb888, nearest_bgr888,
                                       nearest_yuyv, nearest_grey8};

static nanodet_rgb pixel_of(const nanodet_frame *frame, const uint8_t *row, uint32_t x) {
    switch (frame->format) {
        case NANODET_RGB565: return nanodet_from_rgb565(row, x);
        case NANODET_RGB888: return nanodet_from_rgb888(row, x);
        case NANODET_BGR888: return nanodet_from_bgr888(row, x);
        case NANODET_YUYV: return nanodet_from_yuyv(row, x);
        default: return nanodet_from_grey8(row, x);
    }
}

static const uint8_t *row_of(const nanodet_frame *frame, uint32_t y) {
    return frame->pixels + (size_t)y * frame->row_bytes;
}

/* (p00 wy0 + p10 wy1) wx0 + (p01 wy0 + p11 wy1) wx1, rounded to whole grey levels. */
static void bilinear_row(const nanodet_frame *frame, nanodet_tap y, const nanodet_tap *columns,
                         uint32_t width, uint32_t shift, const destination *to) {
    const uint8_t *upper = row_of(frame, y.first), *lower = row_of(frame, y.second);
    uint32_t half = 1u << (shift - 1);
    int8_t *at = to->first;
    for (uint32_t i = 0; i < width; i++, at += to->step) {
        nanodet_tap x = columns[i];
        nanodet_rgb p00 = pixel_of(frame, upper, x.first), p01 = pixel_of(frame, upper, x.second);
        nanodet_rgb p10 = pixel_of(frame, lower, x.first), p11 = pixel_of(frame, lower, x.second);
#define BLEND(c)                                                                          \
    (uint8_t)((((uint32_t)p00.c * y.weight_first + (uint32_t)p10.c * y.weight_second) *   \
                   x.weight_first +                                                       \
               ((uint32_t)p01.c * y.weight_first + (uint32_t)p11.c * y.weight_second) *   \
                   x.weight_second + half) >> shift)
        nanodet_rgb pixel = {BLEND(red), BLEND(green), BLEND(blue)};
#undef BLEND
        put(at, to->red, pixel);
    }
}

static nanodet_status check_frame(const nanodet_frame *frame) {
    static const uint8_t PIXEL_BYTES[] = {2, 3, 3, 2, 1};
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

static destination row_at(const nanodet_model *model, int8_t *input, uint32_t y) {
    uint32_t pixel = y * model->width;
    if (model->rotated_180) pixel = (uint32_t)model->width * model->height - 1 - pixel;
    destination to = {input + 3u * (size_t)pixel, model->rotated_180 ? -3 : 3,
                      model->bgr ? 2u : 0u};
    return to;
}

static void all_nearest(const nanodet_model *model, const nanodet_frame *frame,
                        const nanodet_axis axes[2], uint16_t *columns, int8_t *input) {
    uint32_t width = model->width;
    for (uint32_t x = 0; x < width; x++) columns[x] = nanodet_nearest(&axes[0], (int32_t)x);
    for (uint32_t y = 0; y < model->height; y++) {
        destination to = row_at(model, input, y);
        uint16_t row = nanodet_nearest(&axes[1], (int32_t)y);
        if (row == NANODET_OUTSIDE) {
            fill(&to, width);
        } else {
            NEAREST[frame->format](row_of(frame, row), columns, width, &to);
        }
    }
}

static void all_bilinear(const nanodet_model *model, const nanodet_frame *frame,
                         const nanodet_axis axes[2], nanodet_tap *columns, int8_t *input) {
    uint32_t width = model->width, shift = model->keep_ratio ? 10 : 22;
    for (uint32_t x = 0; x < width; x++) columns[x] = nanodet_bilinear_tap(&axes[0], (int32_t)x);
    for (uint32_t y = 0; y < model->height; y++) {
        destination to = row_at(model, input, y);
        nanodet_tap row = nanodet_bilinear_tap(&axes[1], (int32_t)y);
        if (row.weight_first == 0 && row.weight_second == 0) {
            fill(&to, width);
        } else {
            bilinear_row(frame, row, columns, width, shift, &to);
        }
    }
}

nanodet_status nanodet_preprocess_s8(const nanodet_model *model, const nanodet_frame *frame,
                                     nanodet_resize resize, void *scratch, size_t scratch_bytes,
                                     int8_t *input, size_t input_bytes) {
    nanodet_status status = nanodet_check_canvas(model);
    if (status != NANODET_OK) return status;
    if (frame == NULL || scratch == NULL || input == NULL) return NANODET_NULL_POINTER;
    status = check_frame(frame);
    if (status != NANODET_OK) return status;
    size_t needed = nanodet_preprocess_s8_get_scratch_bytes(model);
    if (!nanodet_aligned(scratch) || scratch_bytes < needed) return NANODET_BAD_SCRATCH;
    if (input_bytes != (size_t)model->width * model->height * 3u) return NANODET_BAD_BUFFER;
    nanodet_axis axes[2];
    nanodet_axes(model, frame->width, frame->height, axes);
    switch (resize) {
        case NANODET_NEAREST: all_nearest(model, frame, axes, scratch, input); break;
        case NANODET_BILINEAR: all_bilinear(model, frame, axes, scratch, input); break;
        default: return NANODET_BAD_OPTION;
    }
    return NANODET_OK;
}
