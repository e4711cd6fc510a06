#include "detection_responder.h"

#include <stdio.h>
#include <string.h>

#include "nanodet_settings.h"
#include "port.h"

static void put(const char *text) { port_write(text, strlen(text)); }

/* As JSON wants it: quotes, backslashes and control characters escaped. The rest is UTF-8. */
static void put_text(const char *text) {
    for (; *text != 0; text++) {
        unsigned char byte = (unsigned char)*text;
        char escaped[8];
        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            port_write(text, 1);
            continue;
        }
        snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)byte);
        put(escaped);
    }
}

/* Sixteenths of a pixel have four decimals. */
static void put_pixels(char before, int32_t value_q4) {
    char text[24];
    snprintf(text, sizeof text, "%c%ld.%04ld", before, (long)(value_q4 >> 4),
             (long)(value_q4 & 15) * 625);
    put(text);
}

static void put_detection(const nanodet_detection *found) {
    char text[64];
    snprintf(text, sizeof text, "{\"class_id\":%u,\"score\":0.%04lu,\"class\":\"",
             (unsigned)found->class_id, (unsigned long)found->score * 10000u >> 16);
    put(text);
    put_text(nanodet_class_names[found->class_id]);
    put("\",\"box\":");
    for (int side = 0; side < 4; side++) put_pixels(side ? ',' : '[', found->box_q4[side]);
    put("]}");
}

void detection_responder_report(const frame_report *report) {
    char text[200];
    snprintf(text, sizeof text,
             "{\"frame\":%lu,\"arena_used\":%lu,\"cycles\":{\"preprocess\":%lu,\"infer\":%lu,"
             "\"postprocess\":%lu},\"model\":\"",
             (unsigned long)report->frame, (unsigned long)report->arena_used_bytes,
             (unsigned long)report->preprocess_cycles, (unsigned long)report->infer_cycles,
             (unsigned long)report->postprocess_cycles);
    put(text);
    put(NANODET_MODEL_SHA256 "\",\"detections\":[");
    for (uint16_t i = 0; i < report->count; i++) {
        if (i) put(",");
        put_detection(&report->detections[i]);
    }
    put("]}\r\n");
}

void detection_responder_fail(const char *where, int status) {
    char text[96];
    snprintf(text, sizeof text, "{\"error\":\"%s\",\"status\":%d}\r\n", where, status);
    put(text);
}
