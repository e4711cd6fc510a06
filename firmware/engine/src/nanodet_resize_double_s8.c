#include "nanodet/kernels.h"

#include "nanodet_lanes.h"

/* 3/4 of one and 1/4 of the other, times 4. */
static inline nanodet_lanes mix(nanodet_lanes three, nanodet_lanes one) {
    nanodet_lanes mixed = {3 * three.even + one.even, 3 * three.odd + one.odd};
    return mixed;
}

static inline nanodet_lanes column(nanodet_row near, nanodet_row far, size_t x, uint32_t c) {
    return mix(nanodet_to_lanes(near.first + x * near.pitch + c),
               nanodet_to_lanes(far.first + x * far.pitch + c));
}

/* From sixteenths to the nearest, ties away from zero, which is 2048 here. */
static inline uint32_t rounded(uint32_t pair) {
    return (pair + 0x00070007u + (pair >> 11 & 0x00010001u)) >> 4 & NANODET_LANES;
}

static inline void put(nanodet_lanes three, nanodet_lanes one, int8_t *to, uint32_t wanted) {
    nanodet_lanes mixed = mix(three, one);
    uint32_t word = (rounded(mixed.even) | rounded(mixed.odd) << 8) ^ 0x80808080u;
    if (wanted == 4) {
        memcpy(to, &word, sizeof word);
        return;
    }
    for (uint32_t i = 0; i < wanted; i++, word >>= 8) to[i] = (int8_t)(uint8_t)word;
}

void nanodet_resize_double_s8(nanodet_row near, nanodet_row far, uint32_t width, nanodet_row out,
                              uint32_t channels) {
    for (uint32_t c = 0; c < channels; c += 4) {
        uint32_t wanted = channels - c < 4 ? channels - c : 4;
        nanodet_lanes here = column(near, far, 0, c), before = here, behind = here;
        int8_t *to = out.first + c;
        for (uint32_t x = 0; x < width; x++, before = here, here = behind) {
            if (x + 1 < width) behind = column(near, far, x + 1, c);
            put(here, before, to, wanted);
            to += out.pitch;
            put(here, behind, to, wanted);
            to += out.pitch;
        }
    }
}
