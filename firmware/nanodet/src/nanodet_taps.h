/* Which source pixels a canvas position reads, along one axis. */
#ifndef NANODET_TAPS_H
#define NANODET_TAPS_H

#include "nanodet/preprocess.h"

#define NANODET_OUTSIDE UINT16_MAX

/* Two pixels and their weights; an index is valid even where the weight is 0. Outside the frame
 * both weights are 0. */
typedef struct {
    uint16_t first, second;
    uint16_t weight_first, weight_second;
} nanodet_tap;

/* The same with neighbours for pixels: `first` and the one behind it. The first one's weight is in
 * the lower half of `weights`. */
typedef struct {
    uint32_t first, weights;
} nanodet_column;

/* The axes of a frame of `width` x `height` pixels: x, then y. */
void nanodet_axes(const nanodet_model *model, int32_t width, int32_t height, nanodet_axis axes[2]);

/* Weights are in 1/2048 without keep_ratio, in 1/32 with it, as OpenCV's. */
nanodet_tap nanodet_bilinear_tap(const nanodet_axis *axis, int32_t position);

/* Of a row that has one pixel, the neighbour weighs nothing. */
nanodet_column nanodet_bilinear_column(const nanodet_axis *axis, int32_t position);

/* Index of the nearest source pixel, or NANODET_OUTSIDE. */
uint16_t nanodet_nearest(const nanodet_axis *axis, int32_t position);

#endif
