// What the firmware uses of TensorFlow Lite Micro, declared so that its sources can be checked
// where there is none. Links with nothing.
#ifndef DECLARATIONS_H_
#define DECLARATIONS_H_

#include <stddef.h>
#include <stdint.h>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteInt8 = 9 };
struct TfLiteIntArray;
struct TfLiteQuantizationParams {
  float scale;
  int32_t zero_point;
};
union TfLitePtrUnion {
  int8_t* int8;
};
struct TfLiteTensor {
  TfLiteType type;
  TfLitePtrUnion data;
  TfLiteQuantizationParams params;
  size_t bytes;
};
struct TfLiteEvalTensor {
  TfLiteIntArray* dims;
};
struct TfLiteContext {
  void* (*AllocatePersistentBuffer)(TfLiteContext* context, size_t bytes);
};
struct TfLiteNode {
  void* user_data;
  void* builtin_data;
};
struct TfLiteLeakyReluParams {
  float alpha;
};
struct TFLMRegistration {
  int32_t builtin_code;
};

void MicroPrintf(const char* format, ...);
#define TFLITE_SCHEMA_VERSION 3

namespace tflite {

enum BuiltinOperator {
  BuiltinOperator_ADD,
  BuiltinOperator_AVERAGE_POOL_2D,
  BuiltinOperator_CONCATENATION,
  BuiltinOperator_CONV_2D,
  BuiltinOperator_DEPTHWISE_CONV_2D,
  BuiltinOperator_LEAKY_RELU,
  BuiltinOperator_MAX_POOL_2D,
  BuiltinOperator_RESIZE_BILINEAR,
  BuiltinOperator_SLICE,
};
using TfLiteBridgeBuiltinParseFunction = TfLiteStatus (*)(const void*);

class MicroOpResolver {
 public:
  virtual const TFLMRegistration* FindOp(BuiltinOperator op) const = 0;
  virtual const TFLMRegistration* FindOp(const char* op) const = 0;
  virtual TfLiteBridgeBuiltinParseFunction GetOpDataParser(BuiltinOperator op) const = 0;
  virtual ~MicroOpResolver() {}
};

class MicroContext {
 public:
  TfLiteTensor* AllocateTempInputTensor(const TfLiteNode* node, int index);
  TfLiteTensor* AllocateTempOutputTensor(const TfLiteNode* node, int index);
  void DeallocateTempTfLiteTensor(TfLiteTensor* tensor);
};
MicroContext* GetMicroContext(const TfLiteContext* context);
void QuantizeMultiplier(double multiplier, int32_t* quantized, int* shift);

struct RuntimeShape {
  int FlatSize() const;
};
namespace micro {
TFLMRegistration RegisterOp(void* (*init)(TfLiteContext*, const char*, size_t),
                            TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*),
                            TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*));
const TfLiteEvalTensor* GetEvalInput(const TfLiteContext*, const TfLiteNode*, int index);
TfLiteEvalTensor* GetEvalOutput(const TfLiteContext*, const TfLiteNode*, int index);
RuntimeShape GetTensorShape(const TfLiteEvalTensor* tensor);
template <typename T>
T* GetTensorData(TfLiteEvalTensor* tensor);
template <typename T>
const T* GetTensorData(const TfLiteEvalTensor* tensor);
}  // namespace micro

struct Model {
  uint32_t version() const;
};
const Model* GetModel(const void* content);

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, uint8_t* arena,
                   size_t arena_bytes);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t index);
  TfLiteTensor* output(size_t index);
  size_t outputs_size() const;
  size_t arena_used_bytes() const;
};

TFLMRegistration Register_ADD();
TFLMRegistration Register_AVERAGE_POOL_2D();
TFLMRegistration Register_CONCATENATION();
TFLMRegistration Register_CONV_2D();
TFLMRegistration Register_DEPTHWISE_CONV_2D();
TFLMRegistration Register_MAX_POOL_2D();
TFLMRegistration Register_RESIZE_BILINEAR();
TFLMRegistration Register_SLICE();
TfLiteStatus ParseAdd(const void*);
TfLiteStatus ParseConcatenation(const void*);
TfLiteStatus ParseConv2D(const void*);
TfLiteStatus ParseDepthwiseConv2D(const void*);
TfLiteStatus ParseLeakyRelu(const void*);
TfLiteStatus ParsePool(const void*);
TfLiteStatus ParseResizeBilinear(const void*);
TfLiteStatus ParseSlice(const void*);

}  // namespace tflite

#endif  // DECLARATIONS_H_
