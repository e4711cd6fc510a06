#include "nanodet/stem.h"
#include "nanodet_stem.h"

size_t nanodet_stem_s8_get_scratch_bytes(const nanodet_stem *stem) {
    if (nanodet_check_stem(stem) != NANODET_OK) return 0;
    return nanodet_stem_lines_bytes(stem) + nanodet_stem_sums_bytes(stem);
}
