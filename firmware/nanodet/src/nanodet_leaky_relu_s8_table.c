#include "nanodet/leaky_relu.h"
#include "nanodet_fixed_point.h"

static bool sound(int32_t zero_point, int32_t multiplier, int32_t shift) {
    return zero_point >= -128 && zero_point <= 127 && multiplier >= 0 && shift >= -31 &&
           shift <= 30;
}

nanodet_status nanodet_leaky_relu_s8_table(const nanodet_leaky_relu_params *params,
                                           int8_t table[256]) {
    if (params == NULL || table == NULL) return NANODET_NULL_POINTER;
    if (!sound(params->input_zero_point, params->identity_multiplier, params->identity_shift) ||
        !sound(params->output_zero_point, params->alpha_multiplier, params->alpha_shift)) {
        return NANODET_BAD_OPTION;
    }
    for (int32_t i = 0; i < 256; i++) {
        int32_t value = i - 128 - params->input_zero_point;
        int64_t scaled =
            value >= 0
                ? nanodet_multiply(value, params->identity_multiplier, params->identity_shift)
                : nanodet_multiply(value, params->alpha_multiplier, params->alpha_shift);
        scaled += params->output_zero_point;
        table[i] = (int8_t)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
    }
    return NANODET_OK;
}
