#include "nanodet/kernels.h"

/* Means of 2x2, where the sum is a shift away: to the nearest, ties away from zero. */
static void halve(const nanodet_row *rows, nanodet_row out, uint32_t out_width,
                  uint32_t channels) {
    uint32_t upper_pitch = rows[0].pitch, lower_pitch = rows[1].pitch;
    for (uint32_t x = 0; x < out_width; x++, out.first += out.pitch) {
        const int8_t *upper = rows[0].first + 2 * x * upper_pitch;
        const int8_t *lower = rows[1].first + 2 * x * lower_pitch;
        for (uint32_t c = 0; c < channels; c++) {
            int32_t sum = upper[c] + upper[c + upper_pitch] + lower[c] + lower[c + lower_pitch];
            out.first[c] = (int8_t)((sum + 2 - (sum < 0)) >> 2);
        }
    }
}

void nanodet_average_pool_s8(const nanodet_row *rows, uint32_t side, nanodet_row out,
                             uint32_t out_width, uint32_t channels) {
    int32_t count = (int32_t)(side * side);
    if (side == 2) {
        halve(rows, out, out_width, channels);
        return;
    }
    for (uint32_t x = 0; x < out_width; x++, out.first += out.pitch) {
        for (uint32_t c = 0; c < channels; c++) {
            int32_t sum = 0;
            for (uint32_t y = 0; y < side; y++) {
                const int8_t *from = rows[y].first + side * x * rows[y].pitch + c;
                for (uint32_t i = 0; i < side; i++) sum += from[i * rows[y].pitch];
            }
            out.first[c] = (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
        }
    }
}
