#include "nanodet/kernels.h"

#include <string.h>

#include "nanodet_pairs.h"

static inline int8_t larger(int8_t a, int8_t b) { return a > b ? a : b; }

#if defined(__ARM_FEATURE_DSP)
/* The larger of each of four bytes. */
static inline uint32_t larger_bytes(uint32_t a, uint32_t b) {
    uint32_t larger;
    __asm__("ssub8 %0, %1, %2\n sel %0, %1, %2" : "=&r"(larger) : "r"(a), "r"(b));
    return larger;
}
#else
static inline uint32_t larger_bytes(uint32_t a, uint32_t b) {
    int8_t one[4], other[4];
    memcpy(one, &a, sizeof one);
    memcpy(other, &b, sizeof other);
    for (int i = 0; i < 4; i++) one[i] = larger(one[i], other[i]);
    memcpy(&a, one, sizeof a);
    return a;
}
#endif

/* Largest of the rows, four channels of one column. */
static inline uint32_t column(const nanodet_row *rows, uint32_t count, size_t at) {
    uint32_t best = larger_bytes(nanodet_load(rows[0].first + at), nanodet_load(rows[1].first + at));
    return count > 2 ? larger_bytes(best, nanodet_load(rows[2].first + at)) : best;
}

void nanodet_max_pool_s8(const nanodet_row *rows, uint32_t count, uint32_t width,
                         const int8_t *activation, nanodet_row out, uint32_t out_width,
                         uint32_t channels) {
    const int8_t *table = activation == NULL ? NULL : activation + 128;
    uint32_t pitch = rows[0].pitch;
    for (uint32_t c = 0; c < channels; c += 4) {
        uint32_t wanted = channels - c < 4 ? channels - c : 4;
        int8_t *to = out.first + c;
        uint32_t before = column(rows, count, c);
        for (uint32_t x = 0; x < out_width; x++, to += out.pitch) {
            size_t at = (size_t)(2 * x + 1) * pitch + c;
            uint32_t best = before;
            if (2 * x + 1 < width) best = larger_bytes(best, column(rows, count, at));
            if (2 * x + 2 < width) {
                before = column(rows, count, at + pitch);
                best = larger_bytes(best, before);
            }
            for (uint32_t i = 0; i < wanted; i++, best >>= 8) {
                int32_t value = (int8_t)(uint8_t)best;
                to[i] = table == NULL ? (int8_t)value : table[value];
            }
        }
    }
}
