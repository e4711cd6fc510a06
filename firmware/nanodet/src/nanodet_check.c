#include "nanodet_check.h"

#define WEIGHT_ONE (1u << 14)

nanodet_status nanodet_check_canvas(const nanodet_model *model) {
    if (model == NULL) return NANODET_NULL_POINTER;
    if (model->width == 0 || model->width > NANODET_MAX_CANVAS) return NANODET_BAD_MODEL;
    if (model->height == 0 || model->height > NANODET_MAX_CANVAS) return NANODET_BAD_MODEL;
    return NANODET_OK;
}

static bool level_is_sound(const nanodet_model *model, const nanodet_level *level) {
    uint64_t bins = model->bins, unit = (uint64_t)level->stride << 4;
    if (level->stride == 0 || level->score == NULL || level->weight == NULL) return false;
    if (level->rows != (model->height + level->stride - 1) / level->stride) return false;
    if (level->columns != (model->width + level->stride - 1) / level->stride) return false;
    if (level->min_logit < -128 || level->min_logit > 128) return false;
    if (level->offset_q4 < 0 || (uint64_t)level->offset_q4 > unit) return false;
    /* The sum that a distance is divided by is never 0, and its numerator fits 32 bits. */
    if (level->weight[0] != WEIGHT_ONE) return false;
    return bins * (bins - 1) / 2 * WEIGHT_ONE * unit + bins * (WEIGHT_ONE / 2) < (1ull << 32);
}

nanodet_status nanodet_check_model(const nanodet_model *model) {
    nanodet_status status = nanodet_check_canvas(model);
    if (status != NANODET_OK) return status;
    if (model->levels == NULL) return NANODET_NULL_POINTER;
    if (model->level_count == 0 || model->level_count > NANODET_MAX_LEVELS) return NANODET_BAD_MODEL;
    if (model->bins < 2 || model->bins > NANODET_MAX_BINS) return NANODET_BAD_MODEL;
    if (model->classes == 0) return NANODET_BAD_MODEL;
    for (uint32_t i = 0; i < model->level_count; i++) {
        if (!level_is_sound(model, &model->levels[i])) return NANODET_BAD_MODEL;
    }
    return NANODET_OK;
}
