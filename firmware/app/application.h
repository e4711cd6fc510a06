/* Frame after frame: image -> input -> network -> detections -> responder. */
#ifndef NANODET_APPLICATION_H
#define NANODET_APPLICATION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Run for `frames` frames, or for ever where it is 0. Returns 0, or 1 after an error, which the
 * responder has been told. */
int application_run(uint32_t frames);

#ifdef __cplusplus
}
#endif

#endif
