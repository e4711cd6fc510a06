#include "detection_responder.h"

#include "nanodet_settings.h"
#include "text.h"

static void put_count(const char *before, uint32_t value) {
    put(before);
    put_digits(value, 1);
}

static void put_detection(const nanodet_detection *found) {
    put_count("{\"class_id\":", found->class_id);
    put(",\"score\":0.");
    put_digits(found->score * 10000u >> 16, 4);
    put(",\"class\":\"");
    put_json(nanodet_class_names[found->class_id]);
    put("\",\"box\":");
    for (int side = 0; side < 4; side++) { /* Sixteenths of a pixel have four decimals. */
        put(side ? "," : "[");
        put_number(found->box_q4[side] >> 4);
        put(".");
        put_digits((uint32_t)(found->box_q4[side] & 15) * 625u, 4);
    }
    put("]}");
}

void detection_responder_report(const frame_report *report) {
    put_count("{\"frame\":", report->frame);
    put_count(",\"arena_used\":", report->arena_used_bytes);
    put_count(",\"cycles\":{\"preprocess\":", report->preprocess_cycles);
    put_count(",\"infer\":", report->infer_cycles);
    put_count(",\"postprocess\":", report->postprocess_cycles);
    put("},\"model\":\"" NANODET_MODEL_SHA256 "\",\"detections\":[");
    for (uint16_t i = 0; i < report->count; i++) {
        if (i) put(",");
        put_detection(&report->detections[i]);
    }
    put("]}\r\n");
}

void detection_responder_fail(const char *where, int status) {
    put("{\"error\":\"");
    put(where);
    put("\",\"status\":");
    put_number(status);
    put("}\r\n");
}
