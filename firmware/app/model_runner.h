/* The network behind a C interface. `tflm/model_runner.cc` runs it on TensorFlow Lite Micro;
 * `app/model_runner_replay.c` answers with what was recorded, for a PC. */
#ifndef NANODET_MODEL_RUNNER_H
#define NANODET_MODEL_RUNNER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    MODEL_RUNNER_OK = 0,
    MODEL_RUNNER_BAD_MODEL = -1, /* No TFLite file, or of another schema. */
    MODEL_RUNNER_NO_OPERATOR = -2,
    MODEL_RUNNER_ARENA_TOO_SMALL = -3,
    MODEL_RUNNER_FAILED = -4,
} model_runner_status;

/* model: the .tflite file, aligned to 16 bytes; arena: likewise. Both are kept. */
model_runner_status model_runner_init(const void *model, void *arena, size_t arena_bytes);

/* Where the image goes, int8. */
int8_t *model_runner_input(size_t *bytes);

model_runner_status model_runner_invoke(void);

/* Output `index` in the file's order, int8; NULL where there is none. */
const int8_t *model_runner_output(size_t index, size_t *bytes);

size_t model_runner_arena_used(void);

#ifdef __cplusplus
}
#endif

#endif
