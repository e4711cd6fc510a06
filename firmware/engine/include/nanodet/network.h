/* A whole network as data: layers, where their rows lie, and the order in which rows are computed.
 * `firmware/engine` plans it and proves that no row is overwritten while it is needed. */
#ifndef NANODET_NETWORK_H
#define NANODET_NETWORK_H

#include "nanodet/kernels.h"
#include "nanodet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of pixels in the arena; row y of a tensor lies in row y % rows. */
typedef struct {
    uint32_t offset;
    uint32_t row_bytes;
    uint16_t rows;
    uint16_t pitch; /* Bytes from one pixel to the next. */
} nanodet_buffer;

/* Channels of a buffer's pixels. */
typedef struct {
    const nanodet_run *runs;
    uint16_t run_count;
    uint8_t buffer;
} nanodet_part;

/* Channels that a layer treats by themselves: bytes of the pixels of one or two buffers. */
typedef struct {
    uint8_t first, second; /* Buffers. */
    uint16_t first_at, second_at, out_at;
    uint16_t channels;
    const int32_t *stream; /* Of a depthwise convolution. */
    uint32_t words;        /* Of the stream. */
} nanodet_piece;

typedef enum {
    NANODET_CONV,
    NANODET_STEM, /* The convolution of the image. */
    NANODET_DEPTHWISE,
    NANODET_ADD,
    NANODET_RESIZE,
    NANODET_AVERAGE,
    NANODET_MAX,
    NANODET_MEAN, /* Of all pixels. */
    NANODET_GATE, /* Times a tensor of a single pixel. */
    NANODET_DECODE, /* Rows of class and distance logits are handed over. */
} nanodet_kind;

typedef struct {
    nanodet_kind kind;
    uint8_t kernel, stride, above, left; /* Padding above and at the left. */
    uint8_t part_count;
    uint8_t piece_count;
    uint8_t out_buffer;
    uint16_t height, width; /* Of what it reads. */
    uint16_t out_height, out_width;
    const nanodet_part *parts; /* Of sources. */
    const nanodet_piece *pieces;
    const void *layer; /* nanodet_conv, nanodet_depthwise, nanodet_add or nanodet_gate. */
    const int8_t *activation;
} nanodet_layer;

/* Called before each step with its layer, layer_count for a row of the image, and after the last
 * with layer_count + 1: to see where time goes. */
typedef void nanodet_watch(uint32_t layer);

typedef struct {
    const nanodet_buffer *buffers;
    const nanodet_layer *layers;
    const uint8_t *steps; /* Layers in order; layer_count: a row of the image. */
    uint32_t step_count;
    uint32_t arena_bytes;
    uint16_t layer_count;
    uint16_t buffer_count;
    uint8_t image_buffer, scratch_buffer;
    int8_t image_zero_point;
    uint16_t image_width, image_height;
    nanodet_watch *watch; /* NULL: none. */
} nanodet_network;

#define NANODET_NETWORK_MAX_LAYERS 255
#define NANODET_NETWORK_MAX_PARTS 16 /* Of a convolution's sources. */
#define NANODET_NETWORK_MAX_VIEWS 64 /* Its parts times its rows, and times those of a window. */

/* Fill `row` with row y of the network's int8 input: image_width pixels of three bytes, or of
 * one: the pitch of the image's buffer. */
typedef void nanodet_fetch(void *context, uint32_t y, int8_t *row);

/* Row y of a level's class and distance logits, `pitch` bytes from one cell to the next. */
typedef void nanodet_take(void *context, uint32_t level, uint32_t y, const nanodet_row *cls,
                          const nanodet_row *reg);

/* Is all that the network says sound, so that running it reads and writes nothing beyond what it was
 * given? Counts of arrays are believed, as are tables of 256. */
nanodet_status nanodet_network_open(const nanodet_network *network);

/* Compute a network that was opened. arena: aligned to 4 bytes. */
nanodet_status nanodet_network_run(const nanodet_network *network, void *arena,
                                   size_t arena_bytes, nanodet_fetch *fetch, nanodet_take *take,
                                   void *context);

#ifdef __cplusplus
}
#endif

#endif
