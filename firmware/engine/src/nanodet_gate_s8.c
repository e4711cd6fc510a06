#include "nanodet/kernels.h"

#include "nanodet_requantize.h"

void nanodet_gate_s8(const nanodet_gate *layer, nanodet_row in, const int8_t *gate, nanodet_row out,
                     uint32_t channels, uint32_t pixels) {
    const int32_t rule[3] = {layer->rule[0], layer->rule[1], layer->rule[2]};
    int32_t zero = layer->zero_point, gate_zero = layer->gate_zero_point;
    int32_t shift = (uint8_t)rule[2];
    for (uint32_t x = 0; x < pixels; x++, in.first += in.pitch, out.first += out.pitch) {
        for (uint32_t c = 0; c < channels; c++) {
            int32_t product = (in.first[c] - zero) * (gate[c] - gate_zero);
            out.first[c] = (int8_t)nanodet_requantize_short(2 * product, rule, shift);
        }
    }
}
