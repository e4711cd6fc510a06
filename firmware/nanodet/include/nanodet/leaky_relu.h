/* LEAKY_RELU of int8 by a table of 256 entries, bit for bit TensorFlow Lite Micro's kernel. */
#ifndef NANODET_LEAKY_RELU_H
#define NANODET_LEAKY_RELU_H

#include "nanodet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Multipliers are fractions in Q0.31 with a power of two, as QuantizeMultiplier of TensorFlow Lite
 * gives them: of input scale / output scale, and of that times alpha. */
typedef struct {
    int32_t input_zero_point;
    int32_t output_zero_point;
    int32_t identity_multiplier;
    int32_t identity_shift; /* -31..30 */
    int32_t alpha_multiplier;
    int32_t alpha_shift; /* -31..30 */
} nanodet_leaky_relu_params;

/* What each input value becomes; table: [256], by input + 128. */
nanodet_status nanodet_leaky_relu_s8_table(const nanodet_leaky_relu_params *params,
                                           int8_t table[256]);

/* output[i] = table[input[i] + 128]; input and output may be the same. */
void nanodet_lookup_s8(const int8_t table[256], const int8_t *input, int8_t *output, size_t count);

#ifdef __cplusplus
}
#endif

#endif
