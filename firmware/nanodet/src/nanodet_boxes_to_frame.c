#include "nanodet/postprocess.h"
#include "nanodet_check.h"

/* Source pixels for canvas pixels: num / den. */
typedef struct {
    int32_t num, den;
    int32_t canvas, source; /* Points that fall on each other, in 1/16 pixels. */
    int32_t limit;
} axis;

static int32_t to_frame(int32_t value, const axis *along) {
    /* Rounded to the nearest, ties upwards. */
    int64_t away = (int64_t)(value - along->canvas) * along->num * 2 + along->den;
    int64_t whole = 2 * (int64_t)along->den;
    int64_t quotient = away / whole - (away % whole < 0);
    int64_t found = quotient + along->source;
    return found < 0 ? 0 : found > along->limit ? along->limit : (int32_t)found;
}

nanodet_status nanodet_boxes_to_frame(const nanodet_model *model, uint16_t width, uint16_t height,
                                      nanodet_detection *detections, uint16_t count) {
    nanodet_status status = nanodet_check_canvas(model);
    if (status != NANODET_OK) return status;
    if (detections == NULL) return NANODET_NULL_POINTER;
    if (width == 0 || height == 0) return NANODET_BAD_FRAME;
    if (width > NANODET_MAX_FRAME || height > NANODET_MAX_FRAME) return NANODET_BAD_FRAME;
    axis along[2] = {{width, model->width, 0, 0, width << 4},
                     {height, model->height, 0, 0, height << 4}};
    if (model->keep_ratio) {
        bool wide = (uint32_t)width * model->height >= (uint32_t)height * model->width;
        const axis binding = along[wide ? 0 : 1];
        for (int i = 0; i < 2; i++) {
            along[i].num = binding.num;
            along[i].den = binding.den;
        }
        along[0].canvas = model->width << 3; /* The centres. */
        along[1].canvas = model->height << 3;
        along[0].source = width << 3;
        along[1].source = height << 3;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (int side = 0; side < 4; side++) {
            int32_t *value = &detections[i].box_q4[side];
            *value = to_frame(*value, &along[side & 1]);
        }
    }
    return NANODET_OK;
}
