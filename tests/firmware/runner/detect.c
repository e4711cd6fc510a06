/* Calls nanodet_detect of a generated folder with arguments that will not do, and twice with arenas
 * that hold different bytes before. Prints what went wrong; returns how much did. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nanodet_settings.h"
#include "test_image.h"

#define ROOM 20

static int wrong;

static void expect(nanodet_status found, nanodet_status wanted, const char *reason) {
    if (found == wanted) return;
    printf("%s: status %d, not %d\n", reason, found, wanted);
    wrong++;
}

static nanodet_status detect(const nanodet_detector *detector, const nanodet_frame *frame,
                             void *arena, size_t bytes) {
    nanodet_detection found[ROOM];
    uint16_t count = 99;
    nanodet_status status = nanodet_detect(detector, frame, arena, bytes, found, ROOM, &count);
    if (status != NANODET_OK && count != 0) wrong++;
    return status;
}

static void with_other_fields(uint8_t *arena, size_t bytes) {
    const nanodet_detector sound = nanodet_generated_detector;
    nanodet_detector broken = sound;
    nanodet_model model = *sound.model;
    nanodet_network network = *sound.network;
    broken.candidates_at = sound.arena_bytes + 4;
    expect(detect(&broken, &test_image, arena, bytes), NANODET_BAD_MODEL, "candidates beyond");
    broken.candidates_at = sound.arena_bytes - 8;
    expect(detect(&broken, &test_image, arena, bytes), NANODET_BAD_SCRATCH, "no room for them");
    broken = sound;
    broken.columns_at = sound.arena_bytes - 8;
    expect(detect(&broken, &test_image, arena, bytes), NANODET_BAD_SCRATCH, "no room for columns");
    broken = sound;
    broken.network = NULL;
    expect(detect(&broken, &test_image, arena, bytes), NANODET_NULL_POINTER, "no network");
    broken = sound;
    broken.selection.max_candidates = 0;
    expect(detect(&broken, &test_image, arena, bytes), NANODET_BAD_OPTION, "no candidates");
    broken = sound;
    broken.resize = (nanodet_resize)7;
    expect(detect(&broken, &test_image, arena, bytes), NANODET_BAD_OPTION, "no such resize");
    broken = sound;
    broken.network = &network;
    network.image_width = (uint16_t)(model.width + 32);
    expect(detect(&broken, &test_image, arena, bytes), NANODET_BAD_MODEL, "another network");
    broken = sound;
    broken.model = &model;
    model.level_count--;
    expect(detect(&broken, &test_image, arena, bytes), NANODET_BAD_MODEL, "a level too few");
}

int main(void) {
    const nanodet_detector *sound = &nanodet_generated_detector;
    size_t bytes = NANODET_ARENA_BYTES;
    uint8_t *arena = malloc(bytes), *odd = malloc(bytes + 1);
    nanodet_frame frame = test_image;
    nanodet_detection found[ROOM], again[ROOM];
    uint16_t count = 99, count_again = 0;
    if (arena == NULL || odd == NULL) return 99;
    memset(found, 0, sizeof found);
    memset(again, 0, sizeof again);
    expect(detect(NULL, &frame, arena, bytes), NANODET_NULL_POINTER, "no detector");
    expect(detect(sound, NULL, arena, bytes), NANODET_NULL_POINTER, "no frame");
    expect(detect(sound, &frame, NULL, bytes), NANODET_NULL_POINTER, "no arena");
    expect(detect(sound, &frame, arena, bytes - 1), NANODET_BAD_SCRATCH, "a byte short");
    expect(detect(sound, &frame, odd + 1, bytes), NANODET_BAD_SCRATCH, "an odd address");
    frame.bytes--;
    expect(detect(sound, &frame, arena, bytes), NANODET_BAD_BUFFER, "a frame a byte short");
    with_other_fields(arena, bytes);
    expect(nanodet_detect(sound, &test_image, arena, bytes, NULL, ROOM, &count),
           NANODET_NULL_POINTER, "no detections");
    expect(nanodet_detect(sound, &test_image, arena, bytes, found, ROOM, NULL),
           NANODET_NULL_POINTER, "no count");
    memset(arena, 0x55, bytes);
    expect(nanodet_detect(sound, &test_image, arena, bytes, found, ROOM, &count), NANODET_OK, "");
    memset(arena, 0xAA, bytes);
    expect(nanodet_detect(sound, &test_image, arena, bytes, again, ROOM, &count_again), NANODET_OK,
           "again");
    if (count == 0 || count != count_again || memcmp(found, again, sizeof found) != 0) wrong++;
    free(odd);
    free(arena);
    return wrong;
}
