#include "timed.h"

#include <string.h>

#include "nanodet/placement.h"
#include "port.h"

#ifdef NANODET_ARENA_ADDRESS
static void *const arena = (void *)NANODET_ARENA_ADDRESS;
#else
NANODET_ARENA static uint32_t arena[NANODET_ARENA_BYTES / 4];
#endif

static uint32_t *spent; /* By part. */
static uint32_t since, part;

static void watch(uint32_t next) {
    uint32_t now = port_cycles();
    spent[part] += now - since;
    since = now;
    part = next;
}

nanodet_status timed_detect(const nanodet_network *as, const nanodet_frame *frame,
                            nanodet_detection *detections, uint16_t capacity, uint16_t *count,
                            uint32_t cycles[TIMED_PARTS]) {
    nanodet_network network = *as;
    nanodet_detector detector = nanodet_generated_detector;
    network.watch = watch;
    detector.network = &network;
    memset(cycles, 0, TIMED_PARTS * sizeof *cycles);
    spent = cycles;
    part = TIMED_ROWS;
    since = port_cycles();
    nanodet_status status = nanodet_detect(&detector, frame, arena, NANODET_ARENA_BYTES, detections,
                                           capacity, count);
    watch(TIMED_ROWS);
    return status;
}

void timed_add_up(const uint32_t cycles[TIMED_PARTS], frame_report *report) {
    const nanodet_layer *layers = nanodet_generated_detector.network->layers;
    report->preprocess_cycles = cycles[TIMED_ROWS];
    report->infer_cycles = 0;
    report->postprocess_cycles = cycles[TIMED_REST];
    for (uint32_t i = 0; i < NANODET_LAYERS; i++) {
        bool decodes = layers[i].kind == NANODET_DECODE;
        *(decodes ? &report->postprocess_cycles : &report->infer_cycles) += cycles[i];
    }
}
