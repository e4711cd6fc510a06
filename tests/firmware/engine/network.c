/* Runs an emitted network on an image of the network's int8 input, and writes what it hands over:
 * for each row the level and the row as uint32, then logits of all cells, class after distance.
 *
 * network IMAGE OUT CLASSES DISTANCES */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nanodet/network.h"

extern const nanodet_network network;

typedef struct {
    const int8_t *image;
    FILE *out;
    uint32_t classes, distances;
} test;

static void fetch(void *context, uint32_t y, int8_t *row) {
    const test *about = context;
    uint32_t bytes = network.buffers[network.image_buffer].pitch * network.image_width;
    memcpy(row, about->image + y * bytes, bytes);
}

static void take(void *context, uint32_t level, uint32_t y, const nanodet_row *cls,
                 const nanodet_row *reg) {
    const test *about = context;
    uint32_t head[2] = {level, y}, cells = 0;
    for (uint32_t i = 0; i < network.layer_count; i++) {
        const nanodet_layer *layer = network.layers + i;
        if (layer->kind == NANODET_DECODE && layer->pieces->out_at == level) {
            cells = layer->out_width;
        }
    }
    fwrite(head, sizeof head, 1, about->out);
    for (uint32_t x = 0; x < cells; x++) {
        fwrite(cls->first + x * cls->pitch, 1, about->classes, about->out);
        fwrite(reg->first + x * reg->pitch, 1, about->distances, about->out);
    }
}

/* Bytes of scratch memory that the layer which takes most wants, as the library counts them. */
static uint32_t scratch_bytes(void) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < network.layer_count; i++) {
        const nanodet_layer *layer = network.layers + i;
        uint32_t words = 0;
        if (layer->kind == NANODET_CONV || layer->kind == NANODET_STEM) {
            const nanodet_conv *conv = layer->layer;
            words = nanodet_conv_s8_get_scratch_words(conv);
        } else if (layer->kind == NANODET_DEPTHWISE) {
            words = nanodet_depthwise_s8_get_scratch_words(layer->kernel, layer->stride,
                                                           layer->out_width);
        }
        if (4 * words > most) most = 4 * words;
    }
    return most;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    size_t bytes = (size_t)network.buffers[network.image_buffer].pitch * network.image_width *
                   network.image_height;
    int8_t *image = malloc(bytes);
    void *arena = malloc(network.arena_bytes); /* So that a sanitizer sees what lies beyond. */
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    if (image == NULL || arena == NULL || in == NULL || out == NULL) return 2;
    if (fread(image, 1, bytes, in) != bytes) return 2;
    if (network.buffers[network.scratch_buffer].row_bytes < scratch_bytes()) return 4;
    test about = {image, out, (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4])};
    memset(arena, 0x55, network.arena_bytes);
    nanodet_status status =
        nanodet_network_run(&network, arena, network.arena_bytes, fetch, take, &about);
    fclose(in);
    fclose(out);
    free(arena);
    free(image);
    return status == NANODET_OK ? 0 : 1;
}
