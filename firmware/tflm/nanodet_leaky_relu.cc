#include "nanodet_leaky_relu.h"

#include "nanodet/leaky_relu.h"
#include "tensorflow/lite/c/builtin_op_data.h"
#include "tensorflow/lite/kernels/internal/quantization_util.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_log.h"

namespace nanodet {
namespace {

constexpr size_t kTableBytes = 256;

// In double, as later versions of the reference kernel; the kit builds no file where float differs.
nanodet_leaky_relu_params Params(const TfLiteTensor& input, const TfLiteTensor& output,
                                 float alpha) {
  nanodet_leaky_relu_params params = {};
  params.input_zero_point = input.params.zero_point;
  params.output_zero_point = output.params.zero_point;
  int shift = 0;
  const double from = static_cast<double>(input.params.scale);
  const double to = static_cast<double>(output.params.scale);
  const double alpha_ratio = from * static_cast<double>(alpha) / to;
  tflite::QuantizeMultiplier(alpha_ratio, &params.alpha_multiplier, &shift);
  params.alpha_shift = shift;
  tflite::QuantizeMultiplier(from / to, &params.identity_multiplier, &shift);
  params.identity_shift = shift;
  return params;
}

void* Init(TfLiteContext* context, const char*, size_t) {
  return context->AllocatePersistentBuffer(context, kTableBytes);
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  tflite::MicroContext* micro = tflite::GetMicroContext(context);
  TfLiteTensor* input = micro->AllocateTempInputTensor(node, 0);
  TfLiteTensor* output = micro->AllocateTempOutputTensor(node, 0);
  TfLiteStatus status = kTfLiteError;
  if (input == nullptr || output == nullptr || node->user_data == nullptr) {
    MicroPrintf("LEAKY_RELU: no memory");
  } else if (input->type != kTfLiteInt8 || output->type != kTfLiteInt8) {
    MicroPrintf("LEAKY_RELU: int8 only");
  } else {
    const auto* options = static_cast<const TfLiteLeakyReluParams*>(node->builtin_data);
    const nanodet_leaky_relu_params params = Params(*input, *output, options->alpha);
    auto* table = static_cast<int8_t*>(node->user_data);
    if (nanodet_leaky_relu_s8_table(&params, table) == NANODET_OK) status = kTfLiteOk;
  }
  if (input != nullptr) micro->DeallocateTempTfLiteTensor(input);
  if (output != nullptr) micro->DeallocateTempTfLiteTensor(output);
  return status;
}

TfLiteStatus Eval(TfLiteContext* context, TfLiteNode* node) {
  const TfLiteEvalTensor* input = tflite::micro::GetEvalInput(context, node, 0);
  TfLiteEvalTensor* output = tflite::micro::GetEvalOutput(context, node, 0);
  const int count = tflite::micro::GetTensorShape(input).FlatSize();
  nanodet_lookup_s8(static_cast<const int8_t*>(node->user_data),
                    tflite::micro::GetTensorData<int8_t>(input),
                    tflite::micro::GetTensorData<int8_t>(output), static_cast<size_t>(count));
  return kTfLiteOk;
}

}  // namespace

TFLMRegistration RegisterLeakyRelu() {
  return tflite::micro::RegisterOp(Init, Prepare, Eval);
}

}  // namespace nanodet
