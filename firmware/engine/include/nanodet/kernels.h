/* Layers of an int8 network, bit for bit TensorFlow Lite Micro's reference kernels.
 *
 * Each has a portable form, which is the specification, and one for Cortex-M cores with the DSP
 * extension. Weights are packed ahead of time by `firmware/engine/pack.py`, in the order in which the
 * kernels read them. Whole words are read: up to three bytes beyond the channels that are asked for.
 * Arguments are checked when a network is opened, not here.
 */
#ifndef NANODET_KERNELS_H
#define NANODET_KERNELS_H

#include "nanodet/placement.h"
#include "nanodet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that follow each other within a pixel. */
typedef struct {
    uint16_t offset;
    uint16_t bytes;
} nanodet_run;

/* Channels of neighbouring pixels: runs of bytes, `pitch` bytes from one pixel to the next. */
typedef struct {
    int8_t *first;
    const nanodet_run *runs;
    uint16_t run_count;
    uint16_t pitch;
} nanodet_view;

/* Channels of neighbouring pixels, `pitch` bytes from one pixel to the next. */
typedef struct {
    int8_t *first;
    uint16_t pitch;
} nanodet_row;

/* What a convolution of more than one pixel reads: those of a square, `stride` pixels from the next
 * output's. Padding is the zero point. */
typedef struct {
    uint16_t width;    /* Pixels of a row that is read. */
    uint16_t channels; /* Of a pixel. */
    uint8_t kernel;    /* Rows and columns of the square. */
    uint8_t stride;
    uint8_t left;      /* Columns of padding before the first. */
    int8_t zero_point;
} nanodet_window;

/* A convolution, and the activation behind it.
 *
 * Its inputs are the channels of a pixel, or those of each pixel of a window, row by row.
 *
 * stream: for each pair of output channels, two doubled biases; two weights of the first channel and
 * two of the second for inputs (0, 2), (1, 3), (4, 6), ...; multiplier, offset and shift of the first
 * and of the second. Weights are doubled, biases hold the input's zero point. The lower byte of
 * `shift` is the shift, the others are the byte of a pixel that the channel goes to.
 *
 * A narrow stream has the weights as they are, a byte each: all of the first channel, then all of the
 * second. A block of them is widened into scratch memory, and pixels are doubled. */
typedef struct {
    const int32_t *stream;
    const int8_t *activation; /* [256] by int8 + 128; NULL: none. */
    uint32_t words;           /* Of the stream. */
    uint16_t inputs;          /* A multiple of 4; weights beyond the layer's own are 0. */
    uint16_t outputs;         /* A multiple of 2. */
    uint16_t pixels;          /* That are held at 16 bits at a time, at least 3 of a row. */
    uint16_t block;           /* Outputs, an even number, whose weights are read for all of these. */
    uint8_t form;             /* Pixels of a turn, 2 or 3: the same numbers, at another speed. */
    bool any_shift;           /* Some shift is not in 1..22. */
    bool narrow;              /* The stream's form. */
    uint8_t rows;             /* At a time, at least 1; `pixels` of all together are held. */
    const nanodet_window *window; /* NULL: a pixel by itself. */
} nanodet_conv;

#define NANODET_CONV_MAX_ROWS 4

/* Words of scratch memory for a convolution. */
uint32_t nanodet_conv_s8_get_scratch_words(const nanodet_conv *layer);

/* sources: [rows][source_count], of a window [rows][kernel][source_count], `first` NULL for a row of
 * padding; the runs of a row's hold at most the channels of a pixel together, in their order. targets:
 * [rows], not more than the layer's. pixels: of a row. All pixels that are held are read before they
 * are written: but for windows, source and target may share memory pixel by pixel. */
NANODET_CODE
void nanodet_conv_s8(const nanodet_conv *layer, const nanodet_view *sources, uint32_t source_count,
                     const nanodet_row *targets, uint32_t rows, uint32_t pixels, uint32_t *scratch);

/* The convolution of an image by 3x3, two pixels apart. With three channels its 28 inputs are bytes 0
 * to 7 of three pixels of the first row, of the second and of the third, then the ninth of the first,
 * third and second row. With one, its 12 inputs are the pixels of the three rows. Its stream is not
 * narrow. rows: with a pixel of padding behind the last; the third is NULL for padding. */
NANODET_CODE
void nanodet_image_conv_s8(const nanodet_conv *layer, const int8_t *const rows[3],
                           int8_t zero_point, nanodet_row target, uint32_t pixels,
                           uint32_t *scratch);

/* A convolution of every channel by itself, and the activation behind it.
 *
 * stream: for each channel doubled bias, multiplier, offset, shift; then its weights in pairs. With
 * stride 1, for each column those of rows (0, 1), (1, 2), (2, 3), ... With stride 2, for each two
 * columns those of rows (0, 1), (2, 3), ... of the left one, of the last of an odd number of rows in
 * both, and of rows (0, 1), ... of the right one; 0 where there is none. Weights are doubled, biases
 * hold the input's zero point. */
typedef struct {
    const int32_t *stream;
    const int8_t *activation; /* [256] by int8 + 128; NULL: none. */
    uint16_t channels;
    uint8_t kernel; /* Rows and columns, 3 to 5. */
    uint8_t stride; /* 1 or 2. */
    int8_t input_zero_point;
    bool any_shift; /* Some shift is not in 1..22. */
    bool repeats;   /* Padding repeats the border; elsewhere it is the zero point. */
} nanodet_depthwise;

#define NANODET_DEPTHWISE_MAX_ROWS 6

/* What a depthwise convolution reads and writes at a time: two rows of output with stride 1, one with
 * stride 2. */
typedef struct {
    /* kernel + 1 rows with stride 1, kernel rows with stride 2; NULL: a row of padding. */
    const int8_t *rows[NANODET_DEPTHWISE_MAX_ROWS];
    int8_t *out[2]; /* The second is NULL with stride 2, and where there is no such row. */
    uint16_t width; /* Pixels of a row that is read. */
    uint16_t out_width;
    uint16_t left; /* Columns of padding before the first. */
    uint16_t pitch, out_pitch; /* Bytes from one pixel to the next. */
} nanodet_depthwise_rows;

/* Words of scratch memory for a depthwise convolution. */
uint32_t nanodet_depthwise_s8_get_scratch_words(uint32_t kernel, uint32_t stride,
                                                uint32_t out_width);

NANODET_CODE
void nanodet_depthwise_s8(const nanodet_depthwise *layer, const nanodet_depthwise_rows *at,
                          uint32_t *scratch);

/* A sum of two tensors. first, second: [256] by int8 + 128, the addend as the sum counts it. rule:
 * multiplier, offset and shift of the doubled sum, as of a convolution's channel. */
typedef struct {
    const int32_t *first;
    const int32_t *second;
    const int8_t *activation; /* [256] by int8 + 128; NULL: none. */
    int32_t rule[3];
} nanodet_add;

NANODET_CODE
void nanodet_add_s8(const nanodet_add *layer, nanodet_row first, nanodet_row second,
                    nanodet_row out, uint32_t channels, uint32_t pixels);

/* A row of an image twice as wide and twice as high, by bilinear interpolation with half-pixel
 * centres. near, far: the rows whose centres are 1/4 and 3/4 of a row away; at the border the same.
 * width: pixels of a row that is read. */
NANODET_CODE
void nanodet_resize_double_s8(nanodet_row near, nanodet_row far, uint32_t width, nanodet_row out,
                              uint32_t channels);

/* Means of squares of 2x2 or 4x4 pixels. rows: [side] */
NANODET_CODE
void nanodet_average_pool_s8(const nanodet_row *rows, uint32_t side, nanodet_row out,
                             uint32_t out_width, uint32_t channels);

/* Means of all pixels. rows: the first of them, `row_bytes` from one to the next. */
NANODET_CODE
void nanodet_mean_s8(nanodet_row rows, uint32_t row_bytes, uint32_t height, uint32_t width,
                     int8_t *out, uint32_t channels);

/* A product of a tensor and of one that has a single pixel, its gate. rule: multiplier, offset and
 * shift, 1..22, of the doubled product, as of a convolution's channel. */
typedef struct {
    int32_t rule[3];
    int8_t zero_point, gate_zero_point;
} nanodet_gate;

NANODET_CODE
void nanodet_gate_s8(const nanodet_gate *layer, nanodet_row in, const int8_t *gate, nanodet_row out,
                     uint32_t channels, uint32_t pixels);

/* Largest of 3x3 pixels, two pixels apart; padding counts for nothing. rows: 3, or 2 at the lower
 * border, of one pitch. width: pixels of a row that is read. activation: [256] by int8 + 128; NULL: none. */
NANODET_CODE
void nanodet_max_pool_s8(const nanodet_row *rows, uint32_t count, uint32_t width,
                         const int8_t *activation, nanodet_row out, uint32_t out_width,
                         uint32_t channels);

#ifdef __cplusplus
}
#endif

#endif
