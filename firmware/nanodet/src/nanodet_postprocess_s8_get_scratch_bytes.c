#include "nanodet/postprocess.h"
#include "nanodet_candidates.h"

size_t nanodet_postprocess_s8_get_scratch_bytes(uint16_t max_candidates) {
    return (size_t)max_candidates * sizeof(nanodet_candidate);
}
