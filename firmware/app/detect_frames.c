#include "application.h"
#include "detection_responder.h"
#include "image_provider.h"
#include "timed.h"

static nanodet_detection detections[NANODET_MAX_DETECTIONS];
static uint32_t cycles[TIMED_PARTS];

static int run_frame(uint32_t number, const nanodet_frame *frame) {
    frame_report report = {
        .frame = number, .detections = detections, .arena_used_bytes = NANODET_ARENA_BYTES};
    nanodet_status status = timed_detect(nanodet_generated_detector.network, frame, detections,
                                         NANODET_MAX_DETECTIONS, &report.count, cycles);
    if (status != NANODET_OK) {
        detection_responder_fail("detect", status);
        return 1;
    }
    timed_add_up(cycles, &report);
    detection_responder_report(&report);
    return 0;
}

int application_run(uint32_t frames) {
    nanodet_status status = nanodet_network_open(nanodet_generated_detector.network);
    if (status != NANODET_OK) {
        detection_responder_fail("network", status);
        return 1;
    }
    if (!image_provider_init()) {
        detection_responder_fail("image provider", 0);
        return 1;
    }
    for (uint32_t i = 0; frames == 0 || i < frames; i++) {
        nanodet_frame frame;
        if (!image_provider_next(&frame)) return 0;
        if (run_frame(i, &frame) != 0) return 1;
    }
    return 0;
}
