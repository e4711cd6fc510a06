#include "nanodet/kernels.h"

void nanodet_average_pool_s8(const nanodet_row *rows, uint32_t side, nanodet_row out,
                             uint32_t out_width, uint32_t channels) {
    int32_t count = (int32_t)(side * side);
    for (uint32_t x = 0; x < out_width; x++) {
        for (uint32_t c = 0; c < channels; c++) {
            int32_t sum = 0;
            for (uint32_t y = 0; y < side; y++) {
                const int8_t *from = rows[y].first + side * x * rows[y].pitch + c;
                for (uint32_t i = 0; i < side; i++) sum += from[i * rows[y].pitch];
            }
            out.first[c] = (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
        }
        out.first += out.pitch;
    }
}
