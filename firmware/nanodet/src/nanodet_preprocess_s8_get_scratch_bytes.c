#include "nanodet/preprocess.h"
#include "nanodet_check.h"
#include "nanodet_taps.h"

size_t nanodet_preprocess_s8_get_scratch_bytes(const nanodet_model *model) {
    if (nanodet_check_canvas(model) != NANODET_OK) return 0;
    return (size_t)model->width * sizeof(nanodet_column);
}
