#include "nanodet/preprocess.h"
#include "nanodet_check.h"

nanodet_status nanodet_preprocess_s8(const nanodet_model *model, const nanodet_frame *frame,
                                     nanodet_resize resize, void *scratch, size_t scratch_bytes,
                                     int8_t *input, size_t input_bytes) {
    nanodet_frame_rows rows;
    nanodet_status status =
        nanodet_frame_rows_init(&rows, model, frame, resize, scratch, scratch_bytes);
    if (status != NANODET_OK) return status;
    if (input == NULL) return NANODET_NULL_POINTER;
    size_t row_bytes = nanodet_row_bytes(model);
    if (input_bytes != row_bytes * model->height) return NANODET_BAD_BUFFER;
    for (uint32_t y = 0; y < model->height; y++) {
        nanodet_frame_row(&rows, y, input + y * row_bytes);
    }
    return NANODET_OK;
}
