/* Calls nanodet_detect of a generated folder with random frames, arenas and options, sound and not,
 * CASES times. Prints how many were sound.
 *
 * Frames and arenas are exactly as long as the call is told, so that the sanitizers see each byte
 * read or written beyond. What is sound is said here once more, and every other call must be refused.
 * Of most calls the network only fetches the frame's rows and decodes what the arena holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nanodet_settings.h"

#define ROOM 20
#define MOST_BYTES 60000u
#define PATTERN 499u /* Random bytes, again and again. */
#define WHOLE 500 /* Every so many calls run the whole network. */

static const uint32_t PIXEL_BYTES[] = {2, 3, 3, 2, 1};
static uint8_t steps[65536];
static nanodet_network network;

static uint32_t below(uint32_t limit) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % limit;
}

static bool rarely(void) { return below(40) == 0; }

static uint32_t side(void) {
    static const uint32_t edges[] = {0, 1, 2, 3, 8191, 8192, 8193, 65535};
    return below(8) == 0 ? edges[below(8)] : 1 + below(120);
}

static void *exactly(size_t bytes) {
    uint8_t *made = malloc(bytes ? bytes : 1);
    if (made == NULL) exit(2);
    for (size_t i = 0; i < bytes && i < PATTERN; i++) made[i] = (uint8_t)below(256);
    for (size_t at = PATTERN; at < bytes; at += PATTERN) {
        memcpy(made + at, made, bytes - at < PATTERN ? bytes - at : PATTERN);
    }
    return made;
}

/* A frame whose pixels the caller frees. Where it is too large to be there, it says less. */
static bool draw_frame(nanodet_frame *frame) {
    uint32_t width = side(), height = side(), format = rarely() ? below(300) : below(5);
    uint32_t pixel = format < 5 ? PIXEL_BYTES[format] : 1;
    uint32_t row_bytes = width * pixel + below(3);
    if (rarely()) row_bytes -= 1 + below(4); /* May wrap around. */
    uint64_t needed = (uint64_t)row_bytes * (height ? height - 1u : 0) + width * pixel, bytes = needed;
    if (rarely()) bytes -= bytes ? 1 + below(bytes > 9 ? 9 : 1) : 0;
    if (bytes > MOST_BYTES) bytes = below(MOST_BYTES);
    uint8_t *pixels = exactly((size_t)bytes);
    nanodet_frame made = {pixels, (size_t)bytes, row_bytes, (uint16_t)width, (uint16_t)height,
                          (nanodet_pixel_format)format};
    *frame = made;
    return width >= 1 && width <= NANODET_MAX_FRAME && height >= 1 &&
           height <= NANODET_MAX_FRAME && format < 5 &&
           !(format == NANODET_YUYV && width % 2) && row_bytes >= width * pixel && bytes >= needed;
}

static bool draw_detector(nanodet_detector *detector, bool whole) {
    bool sound = true;
    *detector = nanodet_generated_detector;
    if (!whole) detector->network = &network;
    uint32_t resize = rarely() ? below(9) : below(2), iou = rarely() ? below(65536) : below(1025);
    detector->resize = (nanodet_resize)resize;
    detector->selection.iou_threshold_q10 = (uint16_t)iou;
    if (rarely()) detector->selection.max_candidates = 0;
    sound &= resize < 2 && iou <= 1024 && detector->selection.max_candidates != 0;
    if (rarely()) {
        uint32_t *at = below(2) ? &detector->columns_at : &detector->candidates_at;
        *at = detector->arena_bytes - 3 + below(5000); /* No room for a word, or beyond. */
        sound = false;
    }
    return sound;
}

static bool call(bool whole) {
    nanodet_detector detector;
    nanodet_frame frame;
    nanodet_detection found[ROOM];
    uint16_t count = 99, capacity = (uint16_t)below(ROOM + 1);
    bool sound = draw_frame(&frame);
    uint8_t *pixels = (uint8_t *)(uintptr_t)frame.pixels;
    sound &= draw_detector(&detector, whole);
    size_t bytes = detector.arena_bytes, shift = rarely() ? below(4) : 0;
    if (rarely()) bytes = below(2) ? bytes - 1 - below(9) : below((uint32_t)bytes);
    uint8_t *arena = exactly(bytes + shift);
    sound &= shift == 0 && bytes == detector.arena_bytes;
    if (below(200) == 0) sound = false, frame.pixels = NULL;
    bool no_frame = below(200) == 0, no_arena = below(200) == 0, no_found = below(200) == 0;
    nanodet_status status = nanodet_detect(&detector, no_frame ? NULL : &frame,
                                           no_arena ? NULL : arena + shift, bytes,
                                           no_found ? NULL : found, capacity, &count);
    sound &= !no_frame && !no_arena && !no_found;
    free(arena);
    free(pixels);
    if (sound != (status == NANODET_OK) || count > (sound ? capacity : 0)) {
        printf("%s: status %d, %u detections, %ux%u, format %d\n", sound ? "sound" : "not sound",
               status, count, frame.width, frame.height, frame.format);
        exit(1);
    }
    for (uint32_t i = 0; i < count; i++) {
        const int32_t *box = found[i].box_q4;
        bool inside = 0 <= box[0] && box[0] <= box[2] && box[2] <= 16 * frame.width &&
                      0 <= box[1] && box[1] <= box[3] && box[3] <= 16 * frame.height;
        if (!inside || found[i].class_id >= nanodet_generated_detector.model->classes) exit(3);
    }
    return sound;
}

int main(void) {
    network = *nanodet_generated_detector.network;
    network.steps = steps;
    network.step_count = 0;
    for (uint32_t i = 0; i < nanodet_generated_detector.network->step_count; i++) {
        uint8_t step = nanodet_generated_detector.network->steps[i];
        bool kept = step == network.layer_count || network.layers[step].kind == NANODET_DECODE;
        if (kept) steps[network.step_count++] = step;
    }
    uint32_t sound = 0;
    for (uint32_t i = 0; i < CASES; i++) sound += call(i % WHOLE == 0);
    printf("%u\n", sound);
    return 0;
}
