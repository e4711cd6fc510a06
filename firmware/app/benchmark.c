/* In place of detect_frames.c: a JSON line per frame with the cycles of every layer. It has what
 * `./nanodet monitor` expects of a frame, too, so that its option --record keeps the lines. */
#include "application.h"
#include "image_provider.h"
#include "text.h"
#include "timed.h"

static nanodet_detection detections[NANODET_MAX_DETECTIONS];
static uint32_t cycles[TIMED_PARTS];

static void put_field(const char *name, uint32_t value) {
    put(name);
    put_digits(value, 1);
}

static void put_layer(const nanodet_layer *layer, uint32_t spent) {
    static const char *const kinds[] = {"conv",   "stem",    "depthwise", "add",
                                        "resize", "average", "max",       "decode"};
    put("{\"kind\":\"");
    put(kinds[layer->kind]);
    put_field("\",\"kernel\":", layer->kernel);
    put_field(",\"stride\":", layer->stride);
    put_field(",\"height\":", layer->out_height);
    put_field(",\"width\":", layer->out_width);
    put_field(",\"cycles\":", spent);
    put("}");
}

static void report(uint32_t frame) {
    const nanodet_layer *layers = nanodet_generated_detector.network->layers;
    frame_report stages;
    timed_add_up(cycles, &stages);
    put_field("{\"frame\":", frame);
    put_field(",\"arena_used\":", NANODET_ARENA_BYTES);
    put_field(",\"cycles\":{\"preprocess\":", stages.preprocess_cycles);
    put_field(",\"infer\":", stages.infer_cycles);
    put_field(",\"postprocess\":", stages.postprocess_cycles);
    put("},\"model\":\"" NANODET_MODEL_SHA256 "\",\"detections\":[],\"layers\":[");
    for (uint32_t i = 0; i < NANODET_LAYERS; i++) {
        if (i) put(",");
        put_layer(&layers[i], cycles[i]);
    }
    put("]}\r\n");
}

int application_run(uint32_t frames) {
    if (!image_provider_init()) return 1;
    for (uint32_t i = 0; frames == 0 || i < frames; i++) {
        nanodet_frame frame;
        uint16_t count;
        if (!image_provider_next(&frame)) return 0;
        nanodet_status status =
            timed_detect(&frame, detections, NANODET_MAX_DETECTIONS, &count, cycles);
        if (status != NANODET_OK) return 1;
        report(i);
    }
    return 0;
}
