#include "nanodet/kernels.h"

#include "nanodet_lanes.h"

void nanodet_average_pool_s8(const nanodet_row *rows, uint32_t side, nanodet_row out,
                             uint32_t out_width, uint32_t channels) {
    int32_t count = (int32_t)(side * side);
    for (uint32_t x = 0; x < out_width; x++, out.first += out.pitch) {
        for (uint32_t c = 0; c < channels; c += 4) {
            nanodet_lanes sums = {0, 0};
            for (uint32_t y = 0; y < side; y++) {
                const int8_t *from = rows[y].first + side * x * rows[y].pitch + c;
                for (uint32_t i = 0; i < side; i++, from += rows[y].pitch) {
                    nanodet_lanes lanes = nanodet_to_lanes(from);
                    sums.even += lanes.even;
                    sums.odd += lanes.odd;
                }
            }
            for (uint32_t i = 0; i < 4 && c + i < channels; i++) {
                uint32_t pair = i % 2 == 0 ? sums.even : sums.odd;
                int32_t sum = (int32_t)(pair >> (i < 2 ? 0 : 16) & 0xFFFFu) - 128 * count;
                /* To the nearest, ties away from zero. */
                out.first[c + i] = (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
            }
        }
    }
}
