#include "nanodet/kernels.h"

#include "nanodet_lanes.h"

/* Three of one and one of the other. */
NANODET_INLINE nanodet_lanes mix(nanodet_lanes three, nanodet_lanes one) {
    nanodet_lanes mixed = {3 * three.even + one.even, 3 * three.odd + one.odd};
    return mixed;
}

void nanodet_resize_double_s8(nanodet_row near, nanodet_row far, uint32_t width, nanodet_row out,
                              uint32_t channels) {
    for (uint32_t c = 0; c < channels; c += 4) {
        const int8_t *a = near.first + c, *b = far.first + c;
        nanodet_lanes here = mix(nanodet_to_lanes(a), nanodet_to_lanes(b));
        nanodet_lanes before = here, behind = here;
        int8_t *to = out.first + c;
        for (uint32_t x = 1; x <= width; x++, before = here, here = behind) {
            if (x < width) {
                a += near.pitch;
                b += far.pitch;
                behind = mix(nanodet_to_lanes(a), nanodet_to_lanes(b));
            }
            nanodet_from_lanes(mix(here, before), 4, channels - c, to);
            to += out.pitch;
            nanodet_from_lanes(mix(here, behind), 4, channels - c, to);
            to += out.pitch;
        }
    }
}
