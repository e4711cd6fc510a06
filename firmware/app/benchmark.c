/* In place of detect_frames.c: a JSON line per frame with the cycles of every layer, as it is and in
 * each form that it could have. It has what `./nanodet monitor` expects of a frame, too, so that its
 * option --record keeps the lines for `./nanodet firmware --measured`. */
#include "application.h"
#include "image_provider.h"
#include "text.h"
#include "timed.h"

static nanodet_detection detections[NANODET_MAX_DETECTIONS];
static uint32_t cycles[TIMED_PARTS];

static const uint8_t forms[] = {2, 3};
#define FORMS (sizeof forms / sizeof *forms)
static uint32_t form_cycles[FORMS][TIMED_PARTS];
static nanodet_layer layers_in_form[NANODET_LAYERS];
static nanodet_conv convs_in_form[NANODET_LAYERS];

static bool has_forms(const nanodet_layer *layer) {
    return layer->kind == NANODET_CONV || layer->kind == NANODET_STEM;
}

/* The network with all of its convolutions in one form. */
static nanodet_network in_form(uint8_t form) {
    nanodet_network network = *nanodet_generated_detector.network;
    for (uint32_t i = 0; i < NANODET_LAYERS; i++) {
        layers_in_form[i] = network.layers[i];
        if (!has_forms(layers_in_form + i)) continue;
        convs_in_form[i] = *(const nanodet_conv *)network.layers[i].layer;
        convs_in_form[i].form = form;
        layers_in_form[i].layer = convs_in_form + i;
    }
    network.layers = layers_in_form;
    return network;
}

static void put_field(const char *name, uint32_t value) {
    put(name);
    put_digits(value, 1);
}

static void put_layer(const nanodet_layer *layer, uint32_t number) {
    static const char *const kinds[] = {"conv",    "stem", "depthwise", "add",  "resize",
                                        "average", "max",  "mean",      "gate", "decode"};
    put("{\"kind\":\"");
    put(kinds[layer->kind]);
    put_field("\",\"kernel\":", layer->kernel);
    put_field(",\"stride\":", layer->stride);
    put_field(",\"height\":", layer->out_height);
    put_field(",\"width\":", layer->out_width);
    put_field(",\"cycles\":", cycles[number]);
    for (uint32_t i = 0; has_forms(layer) && i < FORMS; i++) {
        put_field(i ? "," : ",\"forms\":[", form_cycles[i][number]);
    }
    put(has_forms(layer) ? "]}" : "}");
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
        put_layer(&layers[i], i);
    }
    put("]}\r\n");
}

static nanodet_status time_forms(const nanodet_frame *frame) {
    uint16_t count;
    const nanodet_network *own = nanodet_generated_detector.network;
    nanodet_status status =
        timed_detect(own, frame, detections, NANODET_MAX_DETECTIONS, &count, cycles);
    for (uint32_t i = 0; i < FORMS && status == NANODET_OK; i++) {
        const nanodet_network other = in_form(forms[i]);
        status = timed_detect(&other, frame, detections, NANODET_MAX_DETECTIONS, &count,
                              form_cycles[i]);
    }
    return status;
}

int application_run(uint32_t frames) {
    if (!image_provider_init()) return 1;
    for (uint32_t i = 0; frames == 0 || i < frames; i++) {
        nanodet_frame frame;
        if (!image_provider_next(&frame)) return 0;
        if (time_forms(&frame) != NANODET_OK) return 1;
        report(i);
    }
    return 0;
}
