#include "nanodet_candidates.h"

#define IOU_BITS 10

static uint32_t area(const int32_t *box) {
    return (uint32_t)(box[2] - box[0]) * (uint32_t)(box[3] - box[1]);
}

static bool overlaps(const int32_t *a, const int32_t *b, uint32_t threshold) {
    int32_t left = a[0] > b[0] ? a[0] : b[0], top = a[1] > b[1] ? a[1] : b[1];
    int32_t right = a[2] < b[2] ? a[2] : b[2], bottom = a[3] < b[3] ? a[3] : b[3];
    uint64_t shared = 0;
    if (right > left && bottom > top) shared = (uint32_t)(right - left) * (uint32_t)(bottom - top);
    uint64_t whole = (uint64_t)area(a) + area(b) - shared;
    return shared << IOU_BITS > whole * threshold;
}

static bool stands(const nanodet_detection *found, const nanodet_detection *kept, uint32_t count,
                   uint32_t threshold) {
    for (uint32_t i = 0; i < count; i++) {
        if (kept[i].class_id == found->class_id &&
            overlaps(kept[i].box_q4, found->box_q4, threshold)) {
            return false;
        }
    }
    return true;
}

uint16_t nanodet_decode_finish(nanodet_decoding *state, nanodet_detection *detections,
                               uint16_t capacity) {
    nanodet_candidates_sort(state);
    const nanodet_candidate *items = state->items;
    uint32_t threshold = state->selection->iou_threshold_q10;
    uint16_t kept = 0;
    for (uint32_t i = 0; i < state->count && kept < capacity; i++) {
        nanodet_detection *found = &detections[kept];
        for (int side = 0; side < 4; side++) found->box_q4[side] = items[i].box_q4[side];
        found->score = items[i].score;
        found->class_id = items[i].class_id;
        if (stands(found, detections, kept, threshold)) kept++;
    }
    return kept;
}
