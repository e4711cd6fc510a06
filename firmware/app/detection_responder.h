/* What becomes of a frame's detections. `app/detection_responder.c` writes a JSON line. */
#ifndef NANODET_DETECTION_RESPONDER_H
#define NANODET_DETECTION_RESPONDER_H

#include "nanodet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* detections: in the frame, best first. cycles: of the core's clock. */
typedef struct {
    uint32_t frame;
    uint32_t preprocess_cycles;
    uint32_t infer_cycles;
    uint32_t postprocess_cycles;
    uint32_t arena_used_bytes;
    const nanodet_detection *detections;
    uint16_t count;
} frame_report;

void detection_responder_report(const frame_report *report);

/* Something failed: where, and the status of the function that said so. */
void detection_responder_fail(const char *where, int status);

#ifdef __cplusplus
}
#endif

#endif
