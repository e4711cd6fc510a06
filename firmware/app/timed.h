/* One frame through the detector, and where the time went. */
#ifndef NANODET_TIMED_H
#define NANODET_TIMED_H

#include "detection_responder.h"
#include "nanodet/detect.h"
#include "nanodet_settings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Cycles of each layer, then of the frame's rows, then of the rest: suppression, boxes. */
enum { TIMED_ROWS = NANODET_LAYERS, TIMED_REST, TIMED_PARTS };

/* As nanodet_detect, in the arena that nanodet_settings.h describes, with this network: the
 * generated one, or a copy in other forms. cycles: by port_cycles. */
nanodet_status timed_detect(const nanodet_network *as, const nanodet_frame *frame,
                            nanodet_detection *detections, uint16_t capacity, uint16_t *count,
                            uint32_t cycles[TIMED_PARTS]);

/* The parts as the report's three stages; handing logits over belongs to post-processing. */
void timed_add_up(const uint32_t cycles[TIMED_PARTS], frame_report *report);

#ifdef __cplusplus
}
#endif

#endif
