/* Random models, tensors, frames and settings, sound and not: `fuzz CASES SEED`.
 *
 * Every buffer is exactly as long as the call is told, so that the sanitizers see each byte read
 * or written beyond; answers are checked for what holds of any input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nanodet/leaky_relu.h"
#include "nanodet/postprocess.h"
#include "nanodet/preprocess.h"
#include "nanodet/stem.h"

static uint64_t state;

static uint32_t any(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static uint32_t below(uint32_t limit) { return any() % limit; }

/* Now and then something else than it should be. */
static uint32_t mostly(uint32_t value) { return below(60) ? value : below(2) ? any() : below(9); }

static void *filled(size_t bytes) {
    uint8_t *block = malloc(bytes ? bytes : 1);
    if (block == NULL) exit(2);
    uint8_t low = (uint8_t)any(), span = (uint8_t)(any() | 1);
    for (size_t i = 0; i < bytes; i++) block[i] = (uint8_t)(low + any() % span);
    return block;
}

static void require(bool truth, const char *what) {
    if (truth) return;
    fprintf(stderr, "fuzz: %s\n", what);
    exit(1);
}

typedef struct {
    nanodet_model model;
    nanodet_level levels[NANODET_MAX_LEVELS];
    nanodet_outputs outputs[NANODET_MAX_LEVELS];
    uint16_t *tables[2 * NANODET_MAX_LEVELS];
    int8_t *tensors[2 * NANODET_MAX_LEVELS];
} network;

static void make_level(network *net, uint32_t i, uint32_t stride) {
    const nanodet_model *model = &net->model;
    uint16_t *score = filled(512), *weight = filled(512);
    if (below(60)) weight[0] = 1u << 14;
    if (below(20)) {
        for (int k = 1; k < 256; k++) weight[k] &= (1u << 14) - 1;
    }
    net->tables[2 * i] = score;
    net->tables[2 * i + 1] = weight;
    nanodet_level level = {(uint16_t)mostly(stride),
                           (uint16_t)mostly((model->height + stride - 1) / stride),
                           (uint16_t)mostly((model->width + stride - 1) / stride),
                           (int16_t)mostly(below(257) - 128u),
                           (int32_t)mostly(below(stride * 16 + 1)),
                           below(200) ? score : NULL,
                           below(200) ? weight : NULL};
    net->levels[i] = level;
    size_t cells = (size_t)level.rows * level.columns;
    size_t cls = cells * model->classes, reg = cells * 4 * model->bins;
    if (cls > 1u << 18 || reg > 1u << 18) cls = reg = below(99);
    if (!below(60)) cls = below(300);
    if (!below(60)) reg = below(300);
    net->tensors[2 * i] = filled(cls);
    net->tensors[2 * i + 1] = filled(reg);
    nanodet_outputs outputs = {below(200) ? net->tensors[2 * i] : NULL, cls,
                               below(200) ? net->tensors[2 * i + 1] : NULL, reg};
    net->outputs[i] = outputs;
}

static void make(network *net) {
    memset(net, 0, sizeof *net);
    nanodet_model *model = &net->model;
    model->width = (uint16_t)mostly(1 + below(90));
    model->height = (uint16_t)mostly(1 + below(90));
    model->classes = (uint16_t)mostly(1 + below(6));
    model->bins = (uint8_t)mostly(2 + below(12));
    model->level_count = (uint8_t)(1 + below(3));
    model->keep_ratio = below(2);
    model->bgr = below(2);
    model->rotated_180 = below(2);
    model->levels = net->levels;
    for (uint32_t i = 0; i < model->level_count; i++) make_level(net, i, 8u << i);
    if (!below(60)) model->level_count = 0;
}

static void drop(network *net) {
    for (int i = 0; i < 2 * NANODET_MAX_LEVELS; i++) {
        free(net->tables[i]);
        free(net->tensors[i]);
    }
}

static bool inside(const nanodet_detection *found, int32_t width, int32_t height) {
    const int32_t *box = found->box_q4;
    return box[0] >= 0 && box[1] >= 0 && box[2] <= width * 16 && box[3] <= height * 16;
}

static bool fuzz_postprocess(void) {
    network net;
    make(&net);
    nanodet_selection selection = {(uint16_t)mostly(below(1025)), (uint16_t)mostly(1 + below(200)),
                                   NULL};
    uint8_t *wanted = filled(net.model.classes);
    if (below(2)) selection.wanted = wanted;
    uint16_t capacity = (uint16_t)below(50), count = 1;
    size_t bytes = nanodet_postprocess_s8_get_scratch_bytes(selection.max_candidates);
    if (!below(60)) bytes = below(400);
    void *scratch = malloc(bytes ? bytes : 1);
    nanodet_detection *found = malloc(sizeof *found * (capacity ? capacity : 1u));
    nanodet_status status = nanodet_postprocess_s8(&net.model, net.outputs, &selection, scratch,
                                                   bytes, found, capacity, &count);
    require(status == NANODET_OK || count == 0, "detections after an error");
    require(count <= capacity, "more detections than there is room for");
    for (uint32_t i = 0; i < count; i++) {
        require(inside(&found[i], net.model.width, net.model.height), "a box off the canvas");
        require(found[i].class_id < net.model.classes, "a class that there is not");
        require(i == 0 || found[i].score <= found[i - 1].score, "scores that rise");
    }
    if (status == NANODET_OK) {
        uint16_t width = (uint16_t)mostly(1 + below(2000)), height = (uint16_t)mostly(1 + below(2000));
        if (nanodet_boxes_to_frame(&net.model, width, height, found, count) == NANODET_OK) {
            for (uint32_t i = 0; i < count; i++) {
                require(inside(&found[i], width, height), "a box off the frame");
            }
        }
    }
    free(found);
    free(scratch);
    free(wanted);
    drop(&net);
    return status == NANODET_OK;
}

static bool fuzz_preprocess(void) {
    nanodet_model model;
    memset(&model, 0, sizeof model);
    model.width = (uint16_t)mostly(1 + below(60));
    model.height = (uint16_t)mostly(1 + below(60));
    model.keep_ratio = below(2);
    model.bgr = below(2);
    model.grey = below(2);
    model.rotated_180 = below(2);
    static const uint32_t PIXEL[] = {2, 3, 3, 2, 1};
    uint32_t format = below(5), width = 1 + below(80), height = 1 + below(80);
    if (format == NANODET_YUYV) width += width & 1;
    uint32_t row = width * PIXEL[format] + below(3);
    size_t bytes = (size_t)row * (height - 1) + (size_t)width * PIXEL[format];
    if (!below(30)) bytes = below(2000);
    uint8_t *pixels = filled(bytes);
    nanodet_frame frame = {below(200) ? pixels : NULL, bytes, mostly(row), (uint16_t)mostly(width),
                           (uint16_t)mostly(height), (nanodet_pixel_format)mostly(format)};
    size_t scratch_bytes = nanodet_preprocess_s8_get_scratch_bytes(&model);
    size_t input_bytes = (size_t)model.width * model.height * (model.grey ? 1 : 3);
    if (input_bytes > 1u << 20 || !below(60)) input_bytes = below(999);
    if (!below(60)) scratch_bytes = below(400);
    void *scratch = malloc(scratch_bytes ? scratch_bytes : 1);
    int8_t *input = malloc(input_bytes ? input_bytes : 1);
    nanodet_status status =
        nanodet_preprocess_s8(&model, &frame, (nanodet_resize)mostly(below(2)), scratch,
                              scratch_bytes, input, input_bytes);
    free(input);
    free(scratch);
    free(pixels);
    return status == NANODET_OK;
}

static bool fuzz_leaky_relu(void) {
    nanodet_leaky_relu_params params = {(int32_t)mostly(below(256) - 128u),
                                        (int32_t)mostly(below(256) - 128u),
                                        (int32_t)mostly(any() >> 1),
                                        (int32_t)mostly(below(62) - 31u),
                                        (int32_t)mostly(any() >> 1),
                                        (int32_t)mostly(below(62) - 31u)};
    int8_t table[256];
    if (nanodet_leaky_relu_s8_table(&params, table) != NANODET_OK) return false;
    size_t count = below(100);
    int8_t *values = filled(count), *found = malloc(count ? count : 1);
    nanodet_lookup_s8(table, values, found, count);
    for (size_t i = 0; i < count; i++) require(found[i] == table[values[i] + 128], "a lookup");
    free(values);
    free(found);
    return true;
}

static void noise(void *context, uint32_t y, int8_t *row) {
    const nanodet_stem *stem = context;
    memset(row, (int)(y * 37 + any()), stem->width * 3u);
}

static bool fuzz_stem(void) {
    uint32_t channels = 4 * (1 + below(3));
    nanodet_stem stem = {(uint16_t)mostly(4 * (1 + below(6))), (uint16_t)mostly(4 * (1 + below(6))),
                         (uint16_t)mostly(channels), (int16_t)(below(256) - 128u),
                         (int16_t)(below(256) - 128u), NULL, NULL, NULL, NULL, NULL};
    if (stem.width > 64 || stem.height > 64 || stem.channels > channels) stem.width = 0;
    int32_t *weight = filled(NANODET_STEM_WORDS * channels * 4), *bias = filled(channels * 4);
    int32_t *multiplier = filled(channels * 4), *shift = filled(channels * 4);
    for (uint32_t i = 0; i < NANODET_STEM_WORDS * channels; i++) {
        weight[i] = (int32_t)((below(256) - 128u) << 16 | ((below(256) - 128u) & 0xFFFFu));
    }
    for (uint32_t i = 0; i < channels; i++) {
        bias[i] /= 4;
        multiplier[i] = (int32_t)(mostly(any() >> 1));
        shift[i] = (int32_t)mostly(below(62) - 31u);
    }
    int8_t *activation = filled(256);
    stem.weight = below(200) ? weight : NULL;
    stem.bias = below(200) ? bias : NULL;
    stem.multiplier = multiplier;
    stem.shift = shift;
    stem.activation = below(200) ? activation : NULL;
    size_t bytes = nanodet_stem_s8_get_scratch_bytes(&stem);
    if (!below(60)) bytes = below(400);
    size_t pooled = (size_t)(stem.width / 4) * (stem.height / 4) * stem.channels;
    if (!below(60)) pooled = below(400);
    void *scratch = malloc(bytes ? bytes : 1);
    int8_t *output = malloc(pooled ? pooled : 1);
    nanodet_status status = nanodet_stem_s8(&stem, noise, &stem, scratch, bytes, output, pooled);
    free(output);
    free(scratch);
    free(activation);
    free(shift);
    free(multiplier);
    free(bias);
    free(weight);
    return status == NANODET_OK;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    long cases = strtol(argv[1], NULL, 10), sound = 0;
    state = (uint64_t)strtol(argv[2], NULL, 10) * 2654435769u + 88172645463325252u;
    for (long i = 0; i < cases; i++) {
        switch (below(7)) {
            case 0: sound += fuzz_leaky_relu(); break;
            case 1: sound += fuzz_stem(); break;
            case 2:
            case 3: sound += fuzz_preprocess(); break;
            default: sound += fuzz_postprocess(); break;
        }
    }
    printf("%ld of %ld were sound\n", sound, cases);
    return 0;
}
