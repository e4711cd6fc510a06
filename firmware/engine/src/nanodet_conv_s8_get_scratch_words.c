#include "nanodet/kernels.h"

#include "nanodet_conv.h"

/* Pixels at 16 bits, and those of a turn as bytes, with what a whole word writes beyond them. */
uint32_t nanodet_conv_s8_get_scratch_words(uint32_t inputs, uint32_t pixels) {
    return pixels * (inputs / 2) + NANODET_CONV_MOST * (inputs / 4) + 1;
}
