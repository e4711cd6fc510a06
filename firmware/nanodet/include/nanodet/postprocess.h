/* Outputs of the network -> detections; bit for bit `runtime/integer.py`. */
#ifndef NANODET_POSTPROCESS_H
#define NANODET_POSTPROCESS_H

#include "nanodet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of one stride, as they lie in the network's tensors. */
typedef struct {
    const int8_t *cls;
    size_t cls_bytes;
    const int8_t *reg;
    size_t reg_bytes;
} nanodet_outputs;

typedef struct {
    uint16_t iou_threshold_q10; /* In 1/1024, 0..1024: more overlap than this is one object. */
    uint16_t max_candidates;    /* So many of the best go on to suppression. */
    const uint8_t *wanted;      /* [classes], not 0: look for it. NULL: all. */
} nanodet_selection;

/* Bytes of scratch memory for `max_candidates`. */
size_t nanodet_postprocess_s8_get_scratch_bytes(uint16_t max_candidates);

/* Detections on the canvas, best first.
 *
 * outputs: `level_count` entries. scratch: aligned to 4 bytes, see above. detections: room for
 * `capacity`; the best of them are kept. count: how many there are; 0 after an error. */
nanodet_status nanodet_postprocess_s8(const nanodet_model *model, const nanodet_outputs *outputs,
                                      const nanodet_selection *selection, void *scratch,
                                      size_t scratch_bytes, nanodet_detection *detections,
                                      uint16_t capacity, uint16_t *count);

/* The same row by row, for outputs that are never there as a whole. Fields are private. */
typedef struct {
    const nanodet_model *model;
    const nanodet_selection *selection;
    void *items;
    uint32_t count;
} nanodet_decoding;

/* model, selection and scratch must outlive `state`. scratch: as above. */
nanodet_status nanodet_decode_init(nanodet_decoding *state, const nanodet_model *model,
                                   const nanodet_selection *selection, void *scratch,
                                   size_t scratch_bytes);

/* Row y of level `index`, as it lies in the network's tensors, in any order. From one cell to the
 * next are `cls_pitch` bytes of class logits, and `reg_pitch` of distance logits. */
void nanodet_decode_row(nanodet_decoding *state, uint32_t index, uint32_t y, const int8_t *cls,
                        uint32_t cls_pitch, const int8_t *reg, uint32_t reg_pitch);

/* Detections on the canvas, best first, at most `capacity`; returns how many. */
uint16_t nanodet_decode_finish(nanodet_decoding *state, nanodet_detection *detections,
                               uint16_t capacity);

/* Detections on the canvas -> in the frame of `width` x `height` pixels it was made from, clipped
 * to it; to the nearest 1/16 pixel. In place. */
nanodet_status nanodet_boxes_to_frame(const nanodet_model *model, uint16_t width, uint16_t height,
                                      nanodet_detection *detections, uint16_t count);

#ifdef __cplusplus
}
#endif

#endif
