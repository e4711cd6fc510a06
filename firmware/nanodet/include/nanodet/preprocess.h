/* A camera's frame -> the network's int8 input; bit for bit `runtime/preprocess.py` (bilinear). */
#ifndef NANODET_PREPROCESS_H
#define NANODET_PREPROCESS_H

#include "nanodet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    NANODET_RGB565 = 0, /* 16 bits, little endian, red on top. */
    NANODET_RGB888 = 1, /* Bytes red, green, blue. */
    NANODET_BGR888 = 2, /* Bytes blue, green, red. */
    NANODET_YUYV = 3,   /* Bytes Y U Y V for two pixels, BT.601, Y from 16 to 235. Even width. */
    NANODET_GREY8 = 4,
} nanodet_pixel_format;

typedef enum { NANODET_NEAREST = 0, NANODET_BILINEAR = 1 } nanodet_resize;

typedef struct {
    const uint8_t *pixels;
    size_t bytes; /* At least row_bytes * (height - 1) + the last row's pixels. */
    uint32_t row_bytes;
    uint16_t width;
    uint16_t height;
    nanodet_pixel_format format;
} nanodet_frame;

/* Bytes of scratch memory for an input of this model; 0 where the model is none. */
size_t nanodet_preprocess_s8_get_scratch_bytes(const nanodet_model *model);

/* Fill `input`, int8 (height, width, 3), or (height, width) of a grey network, with pixel - 128, in
 * the channel order and the orientation that the network takes. scratch: aligned to 4 bytes, see above. */
nanodet_status nanodet_preprocess_s8(const nanodet_model *model, const nanodet_frame *frame,
                                     nanodet_resize resize, void *scratch, size_t scratch_bytes,
                                     int8_t *input, size_t input_bytes);

/* Canvas positions 0..target-1 over source pixels 0..source-1, along one side. With keep_ratio,
 * num / den source pixels a canvas pixel, about the centres. */
typedef struct {
    int32_t source, target;
    int32_t num, den;
    bool keep_ratio;
} nanodet_axis;

/* The same row by row, for `nanodet_stem_s8`. Fields are private. */
typedef struct {
    const nanodet_model *model;
    const nanodet_frame *frame;
    nanodet_resize resize;
    const void *columns;
    uint32_t first, count; /* Of the columns that are not black. */
    nanodet_axis axes[2];  /* x, y */
} nanodet_frame_rows;

/* model, frame and scratch must outlive `rows`. */
nanodet_status nanodet_frame_rows_init(nanodet_frame_rows *rows, const nanodet_model *model,
                                       const nanodet_frame *frame, nanodet_resize resize,
                                       void *scratch, size_t scratch_bytes);

/* Row y of the network's input, int8 (width, 3) or (width). rows: a `nanodet_frame_rows`. */
void nanodet_frame_row(void *rows, uint32_t y, int8_t *row);

#ifdef __cplusplus
}
#endif

#endif
