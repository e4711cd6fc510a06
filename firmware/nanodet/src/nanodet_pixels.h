/* One pixel of a frame's row as red, green, blue, or as grey. */
#ifndef NANODET_PIXELS_H
#define NANODET_PIXELS_H

#include <string.h>

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

/* Luma of ITU-R BT.601, in 1/32768. */
#define NANODET_DEFINE_LUMA(name, pixel_of)                                                     \
    static inline uint8_t name(const uint8_t *row, uint32_t x) {                                \
        nanodet_rgb p = pixel_of(row, x);                                                       \
        return (uint8_t)((9798u * p.red + 19235u * p.green + 3735u * p.blue + 16384u) >> 15);   \
    }

NANODET_DEFINE_LUMA(nanodet_luma_rgb565, nanodet_from_rgb565)
NANODET_DEFINE_LUMA(nanodet_luma_rgb888, nanodet_from_rgb888)
NANODET_DEFINE_LUMA(nanodet_luma_bgr888, nanodet_from_bgr888)
NANODET_DEFINE_LUMA(nanodet_luma_yuyv, nanodet_from_yuyv)

static inline uint8_t nanodet_luma_grey8(const uint8_t *row, uint32_t x) { return row[x]; }

/* Two neighbouring pixels, the first in the lower halves. */
typedef struct {
    uint32_t red, green, blue;
} nanodet_rgb_pair;

static inline nanodet_rgb_pair nanodet_pair_rgb565(const uint8_t *row, uint32_t x) {
    uint32_t word;
    memcpy(&word, row + 2 * x, sizeof word);
    uint32_t red = word & 0xF800F800u, green = word & 0x07E007E0u, blue = word & 0x001F001Fu;
    nanodet_rgb_pair pair = {red >> 8 | (red & 0xE000E000u) >> 13,
                             green >> 3 | (green & 0x06000600u) >> 9,
                             blue << 3 | (blue & 0x001C001Cu) >> 2};
    return pair;
}

#define NANODET_DEFINE_PAIR(name, pixel_of)                                    \
    static inline nanodet_rgb_pair name(const uint8_t *row, uint32_t x) {      \
        nanodet_rgb a = pixel_of(row, x), b = pixel_of(row, x + 1);            \
        nanodet_rgb_pair pair = {a.red | (uint32_t)b.red << 16,                \
                                 a.green | (uint32_t)b.green << 16,            \
                                 a.blue | (uint32_t)b.blue << 16};             \
        return pair;                                                           \
    }

NANODET_DEFINE_PAIR(nanodet_pair_rgb888, nanodet_from_rgb888)
NANODET_DEFINE_PAIR(nanodet_pair_bgr888, nanodet_from_bgr888)
NANODET_DEFINE_PAIR(nanodet_pair_yuyv, nanodet_from_yuyv)
NANODET_DEFINE_PAIR(nanodet_pair_grey8, nanodet_from_grey8)

#endif
