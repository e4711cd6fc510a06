#include "nanodet/postprocess.h"
#include "nanodet_check.h"

#define IOU_ONE (1u << 10)

nanodet_status nanodet_decode_init(nanodet_decoding *state, const nanodet_model *model,
                                   const nanodet_selection *selection, void *scratch,
                                   size_t scratch_bytes) {
    if (state == NULL || selection == NULL || scratch == NULL) return NANODET_NULL_POINTER;
    nanodet_status status = nanodet_check_model(model);
    if (status != NANODET_OK) return status;
    if (selection->iou_threshold_q10 > IOU_ONE) return NANODET_BAD_OPTION;
    if (selection->max_candidates == 0) return NANODET_BAD_OPTION;
    size_t needed = nanodet_postprocess_s8_get_scratch_bytes(selection->max_candidates);
    if (!nanodet_aligned(scratch) || scratch_bytes < needed) return NANODET_BAD_SCRATCH;
    nanodet_decoding empty = {model, selection, scratch, 0};
    *state = empty;
    return NANODET_OK;
}
