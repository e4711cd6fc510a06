#include "image_provider.h"

#include "test_image.h"

bool image_provider_init(void) { return true; }

bool image_provider_next(nanodet_frame *frame) {
    *frame = test_image;
    return true;
}
