#include "nanodet_taps.h"
#include "nanodet_check.h"

#define WARP_STEPS 32
#define RESIZE_STEPS 2048

void nanodet_axes(const nanodet_model *model, int32_t width, int32_t height, nanodet_axis axes[2]) {
    bool wide = width * model->height >= height * model->width;
    int32_t num = wide ? width : height, den = wide ? model->width : model->height;
    nanodet_axis x = {width, model->width, num, den, model->keep_ratio};
    nanodet_axis y = {height, model->height, num, den, model->keep_ratio};
    axes[0] = x;
    axes[1] = y;
}

/* numerator / denominator rounded, ties to even. */
static int32_t rounded(int32_t numerator, int32_t denominator) {
    int32_t quotient = nanodet_floor_div(2 * numerator + denominator, 2 * denominator);
    bool tie = 2 * numerator + denominator == quotient * 2 * denominator;
    return tie && (quotient & 1) ? quotient - 1 : quotient;
}

static uint16_t inside(int32_t index, int32_t size) {
    return (uint16_t)(index < 0 ? 0 : index >= size ? size - 1 : index);
}

static nanodet_tap warped(const nanodet_axis *axis, int32_t position) {
    int32_t centred = 2 * position - axis->target;
    int32_t steps = rounded(centred * (WARP_STEPS / 2) * axis->num, axis->den);
    steps += WARP_STEPS / 2 * axis->source;
    int32_t first = nanodet_floor_div(steps, WARP_STEPS), fraction = steps - first * WARP_STEPS;
    bool has_first = first >= 0 && first < axis->source;
    bool has_second = first + 1 >= 0 && first + 1 < axis->source;
    nanodet_tap tap = {inside(first, axis->source), inside(first + 1, axis->source),
                       (uint16_t)(has_first ? WARP_STEPS - fraction : 0),
                       (uint16_t)(has_second ? fraction : 0)};
    return tap;
}

static nanodet_tap resized(const nanodet_axis *axis, int32_t position) {
    int32_t whole = 2 * axis->target, last = (axis->source - 1) * whole;
    int32_t at = (2 * position + 1) * axis->source - axis->target;
    at = at < 0 ? 0 : at > last ? last : at;
    int32_t first = at / whole, fraction = rounded(at % whole * RESIZE_STEPS, whole);
    nanodet_tap tap = {(uint16_t)first, inside(first + 1, axis->source),
                       (uint16_t)(RESIZE_STEPS - fraction), (uint16_t)fraction};
    return tap;
}

nanodet_tap nanodet_bilinear_tap(const nanodet_axis *axis, int32_t position) {
    return axis->keep_ratio ? warped(axis, position) : resized(axis, position);
}

nanodet_column nanodet_bilinear_column(const nanodet_axis *axis, int32_t position) {
    nanodet_tap tap = nanodet_bilinear_tap(axis, position);
    uint32_t first = tap.first, before = tap.weight_first, behind = tap.weight_second;
    if (tap.second == tap.first) { /* At a border one pixel has both weights. */
        uint32_t both = before + behind;
        bool last = first > 0;
        first -= last;
        before = last ? 0 : both;
        behind = last ? both : 0;
    }
    nanodet_column column = {first, before | behind << 16};
    return column;
}

uint16_t nanodet_nearest(const nanodet_axis *axis, int32_t position) {
    if (!axis->keep_ratio) {
        return (uint16_t)((2 * position + 1) * axis->source / (2 * axis->target));
    }
    int32_t centred = 2 * position - axis->target;
    int32_t twice = centred * axis->num + (axis->source + 1) * axis->den;
    int32_t index = nanodet_floor_div(twice, 2 * axis->den);
    return index < 0 || index >= axis->source ? NANODET_OUTSIDE : (uint16_t)index;
}
