#include "nanodet/kernels.h"

/* To the nearest of sixteenths, ties away from zero. */
static inline int8_t rounded(int32_t sixteenths) {
    return (int8_t)((sixteenths + 8 - (sixteenths < 0)) >> 4);
}

void nanodet_resize_double_s8(nanodet_row near, nanodet_row far, uint32_t width, nanodet_row out,
                              uint32_t channels) {
    for (uint32_t x = 0; x < width; x++) {
        const int8_t *a = near.first + x * near.pitch, *b = far.first + x * far.pitch;
        int32_t back_a = x == 0 ? 0 : -(int32_t)near.pitch, back_b = x == 0 ? 0 : -(int32_t)far.pitch;
        int32_t on_a = x + 1 == width ? 0 : near.pitch, on_b = x + 1 == width ? 0 : far.pitch;
        int8_t *left = out.first + 2 * x * out.pitch, *right = left + out.pitch;
        for (int32_t c = 0; c < (int32_t)channels; c++) {
            int32_t here = 3 * (3 * a[c] + b[c]);
            left[c] = rounded(here + 3 * a[c + back_a] + b[c + back_b]);
            right[c] = rounded(here + 3 * a[c + on_a] + b[c + on_b]);
        }
    }
}
