/* What every function of this library shares: the model's description, and what can go wrong.
 *
 * C99, no heap, no floats, nothing of libc but stdint.h, stddef.h, stdbool.h and string.h. Every
 * function is reentrant. `./nanodet firmware` writes a `nanodet_model` for a .tflite file.
 */
#ifndef NANODET_TYPES_H
#define NANODET_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NANODET_MAX_LEVELS 8
#define NANODET_MAX_BINS 32
#define NANODET_MAX_CANVAS 4095 /* Pixels a side: an area in 1/16 pixels still fits 32 bits. */
#define NANODET_MAX_FRAME 8192  /* Pixels a side of a camera's frame. */

typedef enum {
    NANODET_OK = 0,
    NANODET_NULL_POINTER = -1,
    NANODET_BAD_MODEL = -2,   /* The description contradicts itself or passes a limit above. */
    NANODET_BAD_BUFFER = -3,  /* A buffer is not of the size the model asks for. */
    NANODET_BAD_SCRATCH = -4, /* Too small, or not aligned to 4 bytes. */
    NANODET_BAD_FRAME = -5,   /* Format, size or row length of a frame. */
    NANODET_BAD_OPTION = -6,
} nanodet_status;

/* One stride. Its outputs: class logits int8 (rows, columns, classes) and distance logits int8
 * (rows, columns, 4 sides left top right bottom, bins). */
typedef struct {
    uint16_t stride; /* Pixels per cell. */
    uint16_t rows;
    uint16_t columns;
    int16_t min_logit;      /* Smallest class logit that passes the score threshold; 128: none. */
    int32_t offset_q4;      /* Centre of cell 0, in 1/16 pixels. */
    const uint16_t *score;  /* [256] by class logit + 128, in 1/65536. */
    const uint16_t *weight; /* [256] by distance below the largest logit of a side, in 1/16384. */
} nanodet_level;

typedef struct {
    uint16_t width; /* Of the input, the canvas, in pixels. */
    uint16_t height;
    uint16_t classes;
    uint8_t bins;
    uint8_t level_count;
    bool keep_ratio;  /* The frame keeps its aspect ratio, centred on black; else it is stretched. */
    bool bgr;         /* Order of the input's channels. */
    bool grey;        /* One channel; else three. */
    bool rotated_180; /* The network sees the canvas, and answers, turned by 180 degrees. */
    const nanodet_level *levels; /* Finest first. */
} nanodet_model;

/* box_q4: left, top, right, bottom in 1/16 pixels. score: in 1/65536. */
typedef struct {
    int32_t box_q4[4];
    uint16_t score;
    uint16_t class_id;
} nanodet_detection;

#ifdef __cplusplus
}
#endif

#endif
