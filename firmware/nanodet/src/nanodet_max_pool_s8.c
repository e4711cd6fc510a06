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

void nanodet_max_pool_s8(const nanodet_row *rows, uint32_t count, uint32_t width,
                         const int8_t *activation, nanodet_row out, uint32_t out_width,
                         uint32_t channels) {
    for (uint32_t x = 0; x < out_width; x++, out.first += out.pitch) {
        uint32_t columns = 2 * x + 3 > width ? width - 2 * x : 3;
        for (uint32_t c = 0; c < channels; c += 4) {
            uint32_t best = 0x80808080u, wanted = channels - c < 4 ? channels - c : 4;
            for (uint32_t y = 0; y < count; y++) {
                const int8_t *from = rows[y].first + 2 * x * rows[y].pitch + c;
                for (uint32_t i = 0; i < columns; i++, from += rows[y].pitch) {
                    best = larger_bytes(best, nanodet_load(from));
                }
            }
            int8_t bytes[4];
            memcpy(bytes, &best, sizeof bytes);
            for (uint32_t i = 0; i < wanted; i++) {
                out.first[c + i] = activation == NULL ? bytes[i] : activation[bytes[i] + 128];
            }
        }
    }
}
