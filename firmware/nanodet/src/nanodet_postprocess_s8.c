#include "nanodet/postprocess.h"
#include "nanodet_check.h"

static nanodet_status check(const nanodet_model *model, const nanodet_outputs *outputs) {
    for (uint32_t i = 0; i < model->level_count; i++) {
        const nanodet_level *level = &model->levels[i];
        size_t cells = (size_t)level->rows * level->columns;
        if (outputs[i].cls == NULL || outputs[i].reg == NULL) return NANODET_NULL_POINTER;
        if (outputs[i].cls_bytes != cells * model->classes) return NANODET_BAD_BUFFER;
        if (outputs[i].reg_bytes != cells * 4u * model->bins) return NANODET_BAD_BUFFER;
    }
    return NANODET_OK;
}

nanodet_status nanodet_postprocess_s8(const nanodet_model *model, const nanodet_outputs *outputs,
                                      const nanodet_selection *selection, void *scratch,
                                      size_t scratch_bytes, nanodet_detection *detections,
                                      uint16_t capacity, uint16_t *count) {
    if (count == NULL) return NANODET_NULL_POINTER;
    *count = 0;
    if (outputs == NULL || detections == NULL) return NANODET_NULL_POINTER;
    nanodet_decoding state;
    nanodet_status status = nanodet_decode_init(&state, model, selection, scratch, scratch_bytes);
    if (status != NANODET_OK) return status;
    status = check(model, outputs);
    if (status != NANODET_OK) return status;
    uint32_t cls_pitch = model->classes, reg_pitch = 4u * model->bins;
    for (uint32_t i = 0; i < model->level_count; i++) {
        uint32_t columns = model->levels[i].columns;
        for (uint32_t y = 0; y < model->levels[i].rows; y++) {
            size_t cell = (size_t)y * columns;
            nanodet_decode_row(&state, i, y, outputs[i].cls + cell * cls_pitch, cls_pitch,
                               outputs[i].reg + cell * reg_pitch, reg_pitch);
        }
    }
    *count = nanodet_decode_finish(&state, detections, capacity);
    return NANODET_OK;
}
