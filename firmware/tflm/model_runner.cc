#include "model_runner.h"

#include <new>

#include "nanodet_op_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(tflite::MicroInterpreter) uint8_t interpreter_memory[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter* interpreter = nullptr;
nanodet::OpResolver resolver;

}  // namespace

extern "C" {

model_runner_status model_runner_init(const void* model, void* arena, size_t arena_bytes) {
  const tflite::Model* file = tflite::GetModel(model);
  if (file->version() != TFLITE_SCHEMA_VERSION) return MODEL_RUNNER_BAD_MODEL;
  resolver = nanodet::OpResolver();
  if (nanodet::AddModelOps(&resolver) != kTfLiteOk) return MODEL_RUNNER_NO_OPERATOR;
  interpreter = new (interpreter_memory) tflite::MicroInterpreter(
      file, resolver, static_cast<uint8_t*>(arena), arena_bytes);
  if (interpreter->AllocateTensors() != kTfLiteOk) {
    interpreter = nullptr;
    return MODEL_RUNNER_ARENA_TOO_SMALL;
  }
  return MODEL_RUNNER_OK;
}

int8_t* model_runner_input(size_t* bytes) {
  if (interpreter == nullptr) return nullptr;
  *bytes = interpreter->input(0)->bytes;
  return interpreter->input(0)->data.int8;
}

model_runner_status model_runner_invoke(void) {
  if (interpreter == nullptr) return MODEL_RUNNER_FAILED;
  return interpreter->Invoke() == kTfLiteOk ? MODEL_RUNNER_OK : MODEL_RUNNER_FAILED;
}

const int8_t* model_runner_output(size_t index, size_t* bytes) {
  if (interpreter == nullptr || index >= interpreter->outputs_size()) return nullptr;
  *bytes = interpreter->output(index)->bytes;
  return interpreter->output(index)->data.int8;
}

size_t model_runner_arena_used(void) {
  return interpreter == nullptr ? 0 : interpreter->arena_used_bytes();
}

}  // extern "C"
