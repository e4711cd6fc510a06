#include "nanodet/postprocess.h"
#include "nanodet_candidates.h"
#include "nanodet_check.h"

#define IOU_BITS 10
#define LEVEL_SHIFT 24
#define CELL_MASK ((1u << LEVEL_SHIFT) - 1)

static nanodet_status check(const nanodet_model *model, const nanodet_outputs *outputs,
                            const nanodet_selection *selection, const void *scratch,
                            size_t scratch_bytes) {
    if (selection->iou_threshold_q10 > 1u << IOU_BITS) return NANODET_BAD_OPTION;
    if (selection->max_candidates == 0) return NANODET_BAD_OPTION;
    size_t needed = nanodet_postprocess_s8_get_scratch_bytes(selection->max_candidates);
    if (!nanodet_aligned(scratch) || scratch_bytes < needed) return NANODET_BAD_SCRATCH;
    for (uint32_t i = 0; i < model->level_count; i++) {
        const nanodet_level *level = &model->levels[i];
        size_t cells = (size_t)level->rows * level->columns;
        if (outputs[i].cls == NULL || outputs[i].reg == NULL) return NANODET_NULL_POINTER;
        if (outputs[i].cls_bytes != cells * model->classes) return NANODET_BAD_BUFFER;
        if (outputs[i].reg_bytes != cells * 4u * model->bins) return NANODET_BAD_BUFFER;
    }
    return NANODET_OK;
}

static void collect(const nanodet_model *model, uint32_t index, const int8_t *cls,
                    const uint8_t *wanted, nanodet_candidates *best) {
    const nanodet_level *level = &model->levels[index];
    uint32_t cells = (uint32_t)level->rows * level->columns, classes = model->classes;
    const int8_t *end = cls + (size_t)cells * classes;
    const int32_t min_logit = level->min_logit;
    for (const int8_t *logit = cls; logit < end; logit++) {
        if (*logit < min_logit) continue;
        uint32_t at = (uint32_t)(logit - cls), cell = at / classes, class_id = at % classes;
        if (wanted != NULL && !wanted[class_id]) continue;
        if (model->rotated_180) cell = cells - 1 - cell;
        nanodet_candidate item = {index << LEVEL_SHIFT | cell, level->score[*logit + 128],
                                  (uint16_t)class_id};
        nanodet_candidates_add(best, item);
    }
}

/* Distance of one side from the centre, in 1/16 pixels: the mean of its bins. */
static int32_t distance_q4(const int8_t *logits, uint32_t bins, const nanodet_level *level) {
    int32_t largest = logits[0];
    for (uint32_t i = 1; i < bins; i++) {
        if (logits[i] > largest) largest = logits[i];
    }
    uint32_t total = 0, moment = 0;
    for (uint32_t i = 0; i < bins; i++) {
        uint32_t weight = level->weight[largest - logits[i]];
        total += weight;
        moment += weight * i;
    }
    uint32_t distance = (moment * ((uint32_t)level->stride << 4) + total / 2) / total;
    /* Weights above 1, which no sound model has, could pass 32 bits. */
    return distance > UINT16_MAX ? UINT16_MAX : (int32_t)distance;
}

static int32_t clip(int32_t value, int32_t limit) {
    return value < 0 ? 0 : value > limit ? limit : value;
}

static void decode(const nanodet_model *model, const nanodet_outputs *outputs,
                   const nanodet_candidate *item, nanodet_detection *found) {
    uint32_t index = item->place >> LEVEL_SHIFT, cell = item->place & CELL_MASK;
    const nanodet_level *level = &model->levels[index];
    uint32_t lying = cell;
    if (model->rotated_180) lying = (uint32_t)level->rows * level->columns - 1 - cell;
    const int8_t *logits = outputs[index].reg + (size_t)lying * 4u * model->bins;
    int32_t unit = (int32_t)level->stride << 4;
    int32_t centre[2] = {(int32_t)(cell % level->columns) * unit + level->offset_q4,
                         (int32_t)(cell / level->columns) * unit + level->offset_q4};
    int32_t limit[2] = {(int32_t)model->width << 4, (int32_t)model->height << 4};
    for (uint32_t side = 0; side < 4; side++) {
        int32_t away = distance_q4(logits + side * model->bins, model->bins, level);
        int32_t value = side < 2 ? centre[side] - away : centre[side - 2] + away;
        found->box_q4[side] = clip(value, limit[side & 1]);
    }
    found->score = item->score;
    found->class_id = item->class_id;
}

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

nanodet_status nanodet_postprocess_s8(const nanodet_model *model, const nanodet_outputs *outputs,
                                      const nanodet_selection *selection, void *scratch,
                                      size_t scratch_bytes, nanodet_detection *detections,
                                      uint16_t capacity, uint16_t *count) {
    if (count == NULL) return NANODET_NULL_POINTER;
    *count = 0;
    if (outputs == NULL || selection == NULL || scratch == NULL || detections == NULL) {
        return NANODET_NULL_POINTER;
    }
    nanodet_status status = nanodet_check_model(model);
    if (status != NANODET_OK) return status;
    status = check(model, outputs, selection, scratch, scratch_bytes);
    if (status != NANODET_OK) return status;

    nanodet_candidates best = {scratch, 0, selection->max_candidates};
    for (uint32_t i = 0; i < model->level_count; i++) {
        collect(model, i, outputs[i].cls, selection->wanted, &best);
    }
    nanodet_candidates_sort(&best);
    uint16_t kept = 0;
    for (uint32_t i = 0; i < best.count && kept < capacity; i++) {
        nanodet_detection *found = &detections[kept];
        decode(model, outputs, &best.items[i], found);
        if (stands(found, detections, kept, selection->iou_threshold_q10)) kept++;
    }
    *count = kept;
    return NANODET_OK;
}
