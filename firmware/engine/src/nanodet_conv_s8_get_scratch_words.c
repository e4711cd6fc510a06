#include "nanodet/kernels.h"

/* Three pixels widened to 16 bits, and three pixels as bytes before and behind. */
uint32_t nanodet_conv_s8_get_scratch_words(uint32_t inputs, uint32_t outputs) {
    uint32_t bytes = inputs > outputs ? inputs : outputs;
    return 3 * (inputs / 2) + 3 * (bytes + 3) / 4;
}
