#include "nanodet/leaky_relu.h"

void nanodet_lookup_s8(const int8_t table[256], const int8_t *input, int8_t *output,
                       size_t count) {
    const int8_t *centre = table + 128;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        int8_t a = centre[input[i]], b = centre[input[i + 1]];
        int8_t c = centre[input[i + 2]], d = centre[input[i + 3]];
        output[i] = a;
        output[i + 1] = b;
        output[i + 2] = c;
        output[i + 3] = d;
    }
    for (; i < count; i++) output[i] = centre[input[i]];
}
