#include "nanodet/kernels.h"

#include "nanodet_requantize.h"

void nanodet_gate_s8(const nanodet_gate *layer, nanodet_row in, const int8_t *gate, nanodet_row out,
                     uint32_t channels, uint32_t pixels) {
    int32_t zero = layer->zero_point, gate_zero = layer->gate_zero_point;
    for (uint32_t x = 0; x < pixels; x++, in.first += in.pitch, out.first += out.pitch) {
        for (uint32_t c = 0; c < channels; c++) {
            int32_t product = (in.first[c] - zero) * (gate[c] - gate_zero);
            out.first[c] = (int8_t)nanodet_requantize(2 * product, layer->rule);
        }
    }
}
