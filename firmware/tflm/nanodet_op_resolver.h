// A resolver with room for kernels of our own in place of TensorFlow Lite Micro's.
#ifndef NANODET_TFLM_OP_RESOLVER_H_
#define NANODET_TFLM_OP_RESOLVER_H_

#include "tensorflow/lite/micro/micro_op_resolver.h"

namespace nanodet {

class OpResolver : public tflite::MicroOpResolver {
 public:
  static constexpr int kMaxOps = 24;

  // Fails when there is no room left, or the operator is there already.
  TfLiteStatus Add(tflite::BuiltinOperator op, const TFLMRegistration& registration,
                   tflite::TfLiteBridgeBuiltinParseFunction parser);

  const TFLMRegistration* FindOp(tflite::BuiltinOperator op) const override;
  const TFLMRegistration* FindOp(const char* custom) const override;
  tflite::TfLiteBridgeBuiltinParseFunction GetOpDataParser(
      tflite::BuiltinOperator op) const override;

 private:
  struct Entry {
    TFLMRegistration registration;
    tflite::TfLiteBridgeBuiltinParseFunction parser;
  };
  const Entry* Find(tflite::BuiltinOperator op) const;

  Entry entries_[kMaxOps] = {};
  int count_ = 0;
};

// Adds what the model needs; written by `./nanodet firmware`.
TfLiteStatus AddModelOps(OpResolver* resolver);

}  // namespace nanodet

#endif  // NANODET_TFLM_OP_RESOLVER_H_
