#include "nanodet_op_resolver.h"

namespace nanodet {

TfLiteStatus OpResolver::Add(tflite::BuiltinOperator op, const TFLMRegistration& registration,
                             tflite::TfLiteBridgeBuiltinParseFunction parser) {
  if (count_ == kMaxOps || Find(op) != nullptr) return kTfLiteError;
  entries_[count_].registration = registration;
  entries_[count_].registration.builtin_code = op;
  entries_[count_].parser = parser;
  count_++;
  return kTfLiteOk;
}

const OpResolver::Entry* OpResolver::Find(tflite::BuiltinOperator op) const {
  for (int i = 0; i < count_; i++) {
    if (entries_[i].registration.builtin_code == op) return &entries_[i];
  }
  return nullptr;
}

const TFLMRegistration* OpResolver::FindOp(tflite::BuiltinOperator op) const {
  const Entry* found = Find(op);
  return found == nullptr ? nullptr : &found->registration;
}

const TFLMRegistration* OpResolver::FindOp(const char*) const { return nullptr; }

tflite::TfLiteBridgeBuiltinParseFunction OpResolver::GetOpDataParser(
    tflite::BuiltinOperator op) const {
  const Entry* found = Find(op);
  return found == nullptr ? nullptr : found->parser;
}

}  // namespace nanodet
