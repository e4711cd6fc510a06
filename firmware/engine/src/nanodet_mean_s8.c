#include "nanodet/kernels.h"

void nanodet_mean_s8(nanodet_row rows, uint32_t row_bytes, uint32_t height, uint32_t width,
                     int8_t *out, uint32_t channels) {
    int32_t count = (int32_t)(height * width);
    for (uint32_t c = 0; c < channels; c++) {
        int32_t sum = 0;
        const int8_t *row = rows.first + c;
        for (uint32_t y = 0; y < height; y++, row += row_bytes) {
            const int8_t *from = row;
            for (uint32_t x = 0; x < width; x++, from += rows.pitch) sum += *from;
        }
        out[c] = (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
    }
}
