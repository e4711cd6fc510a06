/* One pixel of a frame's row as red, green, blue. */
#ifndef NANODET_PIXELS_H
#define NANODET_PIXELS_H

#include "nanodet/preprocess.h"

typedef struct {
    uint8_t red, green, blue;
} nanodet_rgb;

static inline uint8_t nanodet_saturated(int32_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static inline nanodet_rgb nanodet_from_rgb565(const uint8_t *row, uint32_t x) {
    uint32_t word = row[2 * x] | (uint32_t)row[2 * x + 1] << 8;
    uint32_t red = word >> 11, green = word >> 5 & 63u, blue = word & 31u;
    nanodet_rgb pixel = {(uint8_t)(red << 3 | red >> 2), (uint8_t)(green << 2 | green >> 4),
                         (uint8_t)(blue << 3 | blue >> 2)};
    return pixel;
}

static inline nanodet_rgb nanodet_from_rgb888(const uint8_t *row, uint32_t x) {
    nanodet_rgb pixel = {row[3 * x], row[3 * x + 1], row[3 * x + 2]};
    return pixel;
}

static inline nanodet_rgb nanodet_from_bgr888(const uint8_t *row, uint32_t x) {
    nanodet_rgb pixel = {row[3 * x + 2], row[3 * x + 1], row[3 * x]};
    return pixel;
}

/* ITU-R BT.601, video range, in 1/256. */
static inline nanodet_rgb nanodet_from_yuyv(const uint8_t *row, uint32_t x) {
    const uint8_t *pair = row + 4 * (x / 2);
    int32_t luma = 298 * ((int32_t)row[2 * x] - 16) + 128;
    int32_t u = (int32_t)pair[1] - 128, v = (int32_t)pair[3] - 128;
    /* Negative sums end at 0 either way; shifting them is left to no compiler. */
    int32_t red = luma + 409 * v, green = luma - 100 * u - 208 * v, blue = luma + 516 * u;
    nanodet_rgb pixel = {nanodet_saturated(red < 0 ? 0 : red >> 8),
                         nanodet_saturated(green < 0 ? 0 : green >> 8),
                         nanodet_saturated(blue < 0 ? 0 : blue >> 8)};
    return pixel;
}

static inline nanodet_rgb nanodet_from_grey8(const uint8_t *row, uint32_t x) {
    nanodet_rgb pixel = {row[x], row[x], row[x]};
    return pixel;
}

#endif
