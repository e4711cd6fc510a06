#include "application.h"

#include "detection_responder.h"
#include "image_provider.h"
#include "model_data.h"
#include "model_runner.h"
#include "nanodet/postprocess.h"
#include "nanodet/preprocess.h"
#include "nanodet_settings.h"
#include "port.h"

#if NANODET_SPLIT_STEM
#include "nanodet/stem.h"
#include "stem_data.h"
#endif

#ifdef NANODET_ARENA_ADDRESS
static uint8_t *const arena = (uint8_t *)NANODET_ARENA_ADDRESS;
#else
static uint8_t arena[NANODET_ARENA_BYTES] __attribute__((aligned(16)));
#endif
static uint32_t scratch[(NANODET_SCRATCH_BYTES + 3) / 4];
static nanodet_detection detections[NANODET_MAX_DETECTIONS];

static nanodet_status prepare(const nanodet_frame *frame, int8_t *input, size_t input_bytes) {
#if NANODET_SPLIT_STEM
    uint32_t *columns = scratch + NANODET_STEM_SCRATCH_BYTES / 4;
    nanodet_frame_rows rows;
    nanodet_status status =
        nanodet_frame_rows_init(&rows, &nanodet_settings, frame, NANODET_RESIZE, columns,
                                sizeof scratch - NANODET_STEM_SCRATCH_BYTES);
    if (status != NANODET_OK) return status;
    return nanodet_stem_s8(&nanodet_stem_data, nanodet_frame_row, &rows, scratch,
                           NANODET_STEM_SCRATCH_BYTES, input, input_bytes);
#else
    return nanodet_preprocess_s8(&nanodet_settings, frame, NANODET_RESIZE, scratch, sizeof scratch,
                                 input, input_bytes);
#endif
}

static nanodet_status find(const nanodet_frame *frame, uint16_t *count) {
    static const nanodet_selection selection = {NANODET_IOU_THRESHOLD_Q10, NANODET_MAX_CANDIDATES,
                                                NULL};
    nanodet_outputs outputs[NANODET_LEVELS];
    /* The file's outputs: per stride classes, then distances. */
    for (size_t i = 0; i < NANODET_LEVELS; i++) {
        outputs[i].cls = model_runner_output(nanodet_cls_output[i], &outputs[i].cls_bytes);
        outputs[i].reg = model_runner_output(nanodet_reg_output[i], &outputs[i].reg_bytes);
    }
    nanodet_status status =
        nanodet_postprocess_s8(&nanodet_settings, outputs, &selection, scratch, sizeof scratch,
                               detections, NANODET_MAX_DETECTIONS, count);
    if (status != NANODET_OK) return status;
    return nanodet_boxes_to_frame(&nanodet_settings, frame->width, frame->height, detections,
                                  *count);
}

static int failed(const char *where, int status) {
    detection_responder_fail(where, status);
    return 1;
}

static int run_frame(uint32_t number, const nanodet_frame *frame) {
    size_t input_bytes = 0;
    int8_t *input = model_runner_input(&input_bytes);
    frame_report report = {.frame = number, .detections = detections};
    uint32_t start = port_cycles();
    int status = prepare(frame, input, input_bytes);
    if (status != NANODET_OK) return failed("preprocess", status);
    report.preprocess_cycles = port_cycles() - start;

    start = port_cycles();
    status = model_runner_invoke();
    if (status != MODEL_RUNNER_OK) return failed("infer", status);
    report.infer_cycles = port_cycles() - start;

    start = port_cycles();
    status = find(frame, &report.count);
    if (status != NANODET_OK) return failed("postprocess", status);
    report.postprocess_cycles = port_cycles() - start;
    report.arena_used_bytes = (uint32_t)model_runner_arena_used();
    detection_responder_report(&report);
    return 0;
}

int application_run(uint32_t frames) {
    int status = model_runner_init(nanodet_model_data, arena, NANODET_ARENA_BYTES);
    if (status != MODEL_RUNNER_OK) return failed("model", status);
    if (!image_provider_init()) return failed("image provider", 0);
    for (uint32_t i = 0; frames == 0 || i < frames; i++) {
        nanodet_frame frame;
        if (!image_provider_next(&frame)) return 0;
        if (run_frame(i, &frame) != 0) return 1;
    }
    return 0;
}
