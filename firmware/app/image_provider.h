/* Where frames come from. `app/image_provider.c` gives the generated test image again and again; a
 * camera's takes its place. */
#ifndef NANODET_IMAGE_PROVIDER_H
#define NANODET_IMAGE_PROVIDER_H

#include <stdbool.h>

#include "nanodet/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

/* false: there is no camera, or it does not answer. */
bool image_provider_init(void);

/* The next frame, which stays as it is until the next call; false at the end. */
bool image_provider_next(nanodet_frame *frame);

#ifdef __cplusplus
}
#endif

#endif
