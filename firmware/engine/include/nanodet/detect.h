/* A camera's frame -> detections in it: all of a model in one call.
 *
 * The frame is read row by row, and the network's outputs are decoded row by row: neither the
 * network's input nor its outputs are ever there as a whole. `./nanodet firmware --engine c` writes
 * a `nanodet_detector` for a .tflite file. */
#ifndef NANODET_DETECT_H
#define NANODET_DETECT_H

#include "nanodet/network.h"
#include "nanodet/postprocess.h"
#include "nanodet/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const nanodet_model *model;
    const nanodet_network *network;
    nanodet_selection selection;
    nanodet_resize resize;
    uint32_t arena_bytes;   /* The network's and what else lies there: */
    uint32_t columns_at;    /* which pixels of a frame's row the canvas reads, until the last is, */
    uint32_t candidates_at; /* and candidates, from the first row of logits on. */
} nanodet_detector;

/* Detections in the frame, best first.
 *
 * arena: all memory that the call writes besides the stack, aligned to 4 bytes; nothing in it has to
 * last from call to call. detections: room for `capacity`; the best of them are kept. count: how
 * many there are; 0 after an error. */
nanodet_status nanodet_detect(const nanodet_detector *detector, const nanodet_frame *frame,
                              void *arena, size_t arena_bytes, nanodet_detection *detections,
                              uint16_t capacity, uint16_t *count);

#ifdef __cplusplus
}
#endif

#endif
