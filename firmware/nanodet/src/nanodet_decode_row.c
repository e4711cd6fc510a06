#include "nanodet_candidates.h"
#include "nanodet_pairs.h"

#define LEVEL_SHIFT 24
#define EVERY_BYTE 0x01010101u

/* Whether any of a cell's logits reaches `least`, -128..128. Four at a time: bit 7 of a byte of
 * `sum` says whether the byte's low seven bits carry it over the threshold. */
static bool any_reaches(const int8_t *logits, uint32_t count, int32_t least) {
    uint32_t found = 0, whole = count & ~3u;
    if (least <= 0) { /* All that are not negative do, too. */
        uint32_t add = (uint32_t)-least * EVERY_BYTE;
        for (uint32_t i = 0; i < whole; i += 4) {
            uint32_t word = nanodet_load(logits + i);
            uint32_t sum = (word & 0x7F7F7F7Fu) + add;
            found |= sum | ~word;
        }
    } else { /* None that is negative does. */
        uint32_t add = (uint32_t)(128 - least) * EVERY_BYTE;
        for (uint32_t i = 0; i < whole; i += 4) {
            uint32_t word = nanodet_load(logits + i);
            uint32_t sum = (word & 0x7F7F7F7Fu) + add;
            found |= sum & ~word;
        }
    }
    if (found & 0x80808080u) return true;
    for (uint32_t i = whole; i < count; i++) {
        if (logits[i] >= least) return true;
    }
    return false;
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

static uint16_t clip(int32_t value, uint32_t pixels) {
    int32_t limit = (int32_t)(pixels << 4);
    return (uint16_t)(value < 0 ? 0 : value > limit ? limit : value);
}

/* The box of an upright cell. */
static void locate(const nanodet_model *model, const nanodet_level *level, uint32_t x, uint32_t y,
                   const int8_t *reg, nanodet_candidate *item) {
    int32_t unit = (int32_t)level->stride << 4, away[4];
    int32_t right = (int32_t)x * unit + level->offset_q4;
    int32_t down = (int32_t)y * unit + level->offset_q4;
    for (uint32_t side = 0; side < 4; side++) {
        away[side] = distance_q4(reg + side * model->bins, model->bins, level);
    }
    item->box_q4[0] = clip(right - away[0], model->width);
    item->box_q4[1] = clip(down - away[1], model->height);
    item->box_q4[2] = clip(right + away[2], model->width);
    item->box_q4[3] = clip(down + away[3], model->height);
}

static void collect(nanodet_decoding *state, uint32_t index, uint32_t x, uint32_t y,
                    const int8_t *cls, const int8_t *reg) {
    const nanodet_model *model = state->model;
    const nanodet_level *level = &model->levels[index];
    const uint8_t *wanted = state->selection->wanted;
    bool located = false;
    if (model->rotated_180) {
        x = level->columns - 1u - x;
        y = level->rows - 1u - y;
    }
    nanodet_candidate item = {.place = index << LEVEL_SHIFT | (y * level->columns + x)};
    for (uint32_t class_id = 0; class_id < model->classes; class_id++) {
        if (cls[class_id] < level->min_logit || (wanted != NULL && !wanted[class_id])) continue;
        item.score = level->score[cls[class_id] + 128];
        item.class_id = (uint16_t)class_id;
        if (!nanodet_candidates_want(state, &item)) continue;
        if (!located) locate(model, level, x, y, reg, &item);
        located = true;
        nanodet_candidates_add(state, item);
    }
}

void nanodet_decode_row(nanodet_decoding *state, uint32_t index, uint32_t y, const int8_t *cls,
                        uint32_t cls_pitch, const int8_t *reg, uint32_t reg_pitch) {
    const nanodet_level *level = &state->model->levels[index];
    for (uint32_t x = 0; x < level->columns; x++, cls += cls_pitch, reg += reg_pitch) {
        if (any_reaches(cls, state->model->classes, level->min_logit)) {
            collect(state, index, x, y, cls, reg);
        }
    }
}
