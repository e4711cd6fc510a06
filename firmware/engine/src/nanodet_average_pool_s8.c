#include "nanodet/kernels.h"

#include "nanodet_lanes.h"

NANODET_INLINE void run(const nanodet_row *rows, uint32_t side, uint32_t shift, nanodet_row out,
                        uint32_t out_width, uint32_t channels) {
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
            nanodet_from_lanes(sums, shift, channels - c, out.first + c);
        }
    }
}

void nanodet_average_pool_s8(const nanodet_row *rows, uint32_t side, nanodet_row out,
                             uint32_t out_width, uint32_t channels) {
    if (side == 2) {
        run(rows, 2, 2, out, out_width, channels);
    } else {
        run(rows, 4, 4, out, out_width, channels);
    }
}
