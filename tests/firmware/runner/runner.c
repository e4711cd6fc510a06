/* Runs the library on cases from a file and writes what it answers; on a PC and on the emulated
 * Cortex-M7. `tests/firmware/cases.py` writes and reads these files.
 *
 * A case: uint32 kind, uint32 payload bytes, payload padded to 4 bytes. An answer: int32 status,
 * uint32 ticks, uint32 payload bytes, payload padded. All little endian.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nanodet/kernels.h"
#include "nanodet/leaky_relu.h"
#include "nanodet/postprocess.h"
#include "nanodet/preprocess.h"
#include "nanodet/stem.h"

enum { POSTPROCESS = 1, PREPROCESS = 2, TO_FRAME = 3, LEAKY_RELU = 4, STEM = 5, CONV = 6, DEPTHWISE = 7 };

uint32_t runner_ticks(void); /* Instructions on the emulator, 0 on a PC. */

typedef struct {
    const uint8_t *at, *end;
} reader;

/* Exact copies on the heap, so that the sanitizers see every byte read beyond. */
static void *take(reader *from, size_t bytes) {
    void *copy = malloc(bytes ? bytes : 1);
    if (copy == NULL || (size_t)(from->end - from->at) < bytes) exit(3);
    memcpy(copy, from->at, bytes);
    from->at += (bytes + 3) & ~(size_t)3;
    if (from->at > from->end) from->at = from->end;
    return copy;
}

static uint32_t word(reader *from) {
    uint32_t value;
    if (from->end - from->at < 4) exit(3);
    memcpy(&value, from->at, 4);
    from->at += 4;
    return value;
}

static void answer(FILE *out, int32_t status, uint32_t ticks, const void *data, uint32_t bytes) {
    static const uint8_t zeros[4];
    uint32_t head[3] = {(uint32_t)status, ticks, bytes};
    fwrite(head, sizeof head, 1, out);
    if (bytes) fwrite(data, 1, bytes, out);
    fwrite(zeros, 1, (4 - bytes % 4) % 4, out);
}

typedef struct {
    nanodet_model model;
    nanodet_level *levels;
} described;

static described read_model(reader *from) {
    described found;
    memset(&found, 0, sizeof found);
    nanodet_model *model = &found.model;
    model->width = (uint16_t)word(from);
    model->height = (uint16_t)word(from);
    model->classes = (uint16_t)word(from);
    model->bins = (uint8_t)word(from);
    model->level_count = (uint8_t)word(from);
    uint32_t flags = word(from);
    model->keep_ratio = flags & 1;
    model->bgr = flags >> 1 & 1;
    model->rotated_180 = flags >> 2 & 1;
    model->grey = flags >> 3 & 1;
    found.levels = calloc(model->level_count ? model->level_count : 1u, sizeof *found.levels);
    for (uint32_t i = 0; i < model->level_count; i++) {
        nanodet_level *level = &found.levels[i];
        level->stride = (uint16_t)word(from);
        level->rows = (uint16_t)word(from);
        level->columns = (uint16_t)word(from);
        level->min_logit = (int16_t)(int32_t)word(from);
        level->offset_q4 = (int32_t)word(from);
        level->score = take(from, 512);
        level->weight = take(from, 512);
    }
    model->levels = found.levels;
    return found;
}

static void forget(described *found) {
    for (uint32_t i = 0; i < found->model.level_count; i++) {
        free((void *)(uintptr_t)found->levels[i].score);
        free((void *)(uintptr_t)found->levels[i].weight);
    }
    free(found->levels);
}

static void postprocess(reader *from, FILE *out) {
    described about = read_model(from);
    nanodet_outputs outputs[256];
    memset(outputs, 0, sizeof outputs);
    for (uint32_t i = 0; i < about.model.level_count; i++) {
        outputs[i].cls_bytes = word(from);
        outputs[i].cls = take(from, outputs[i].cls_bytes);
        outputs[i].reg_bytes = word(from);
        outputs[i].reg = take(from, outputs[i].reg_bytes);
    }
    nanodet_selection selection = {(uint16_t)word(from), (uint16_t)word(from), NULL};
    uint16_t capacity = (uint16_t)word(from);
    uint32_t wanted_bytes = word(from), scratch_bytes = word(from);
    uint8_t *wanted = wanted_bytes ? take(from, wanted_bytes) : NULL;
    selection.wanted = wanted;
    void *scratch = malloc(scratch_bytes ? scratch_bytes : 1);
    nanodet_detection *detections = malloc(sizeof *detections * (capacity ? capacity : 1u));
    uint16_t count = 0;
    uint32_t before = runner_ticks();
    nanodet_status status =
        nanodet_postprocess_s8(&about.model, outputs, &selection, scratch, scratch_bytes,
                               detections, capacity, &count);
    uint32_t ticks = runner_ticks() - before;
    answer(out, status, ticks, detections, (uint32_t)(count * sizeof *detections));
    for (uint32_t i = 0; i < about.model.level_count; i++) {
        free((void *)(uintptr_t)outputs[i].cls);
        free((void *)(uintptr_t)outputs[i].reg);
    }
    free(detections);
    free(scratch);
    free(wanted);
    forget(&about);
}

static void preprocess(reader *from, FILE *out) {
    described about = read_model(from);
    nanodet_frame frame;
    frame.width = (uint16_t)word(from);
    frame.height = (uint16_t)word(from);
    frame.row_bytes = word(from);
    frame.format = (nanodet_pixel_format)word(from);
    nanodet_resize resize = (nanodet_resize)word(from);
    uint32_t scratch_bytes = word(from), input_bytes = word(from);
    frame.bytes = word(from);
    uint8_t *pixels = take(from, frame.bytes);
    frame.pixels = pixels;
    void *scratch = malloc(scratch_bytes ? scratch_bytes : 1);
    int8_t *input = calloc(input_bytes ? input_bytes : 1, 1);
    uint32_t before = runner_ticks();
    nanodet_status status = nanodet_preprocess_s8(&about.model, &frame, resize, scratch,
                                                  scratch_bytes, input, input_bytes);
    uint32_t ticks = runner_ticks() - before;
    answer(out, status, ticks, input, status == NANODET_OK ? input_bytes : 0);
    free(input);
    free(scratch);
    free(pixels);
    forget(&about);
}

static void to_frame(reader *from, FILE *out) {
    described about = read_model(from);
    uint16_t width = (uint16_t)word(from), height = (uint16_t)word(from);
    uint16_t count = (uint16_t)word(from);
    nanodet_detection *detections = take(from, count * sizeof *detections);
    nanodet_status status =
        nanodet_boxes_to_frame(&about.model, width, height, detections, count);
    uint32_t bytes = status == NANODET_OK ? (uint32_t)(count * sizeof *detections) : 0;
    answer(out, status, 0, detections, bytes);
    free(detections);
    forget(&about);
}

static void leaky_relu(reader *from, FILE *out) {
    nanodet_leaky_relu_params params;
    params.input_zero_point = (int32_t)word(from);
    params.output_zero_point = (int32_t)word(from);
    params.identity_multiplier = (int32_t)word(from);
    params.identity_shift = (int32_t)word(from);
    params.alpha_multiplier = (int32_t)word(from);
    params.alpha_shift = (int32_t)word(from);
    int8_t table[256];
    nanodet_status status = nanodet_leaky_relu_s8_table(&params, table);
    answer(out, status, 0, table, status == NANODET_OK ? sizeof table : 0);
}

typedef struct {
    const int8_t *pixels;
    uint32_t row_bytes;
} image;

static void image_row(void *context, uint32_t y, int8_t *row) {
    const image *from = context;
    memcpy(row, from->pixels + y * from->row_bytes, from->row_bytes);
}

static void stem(reader *from, FILE *out) {
    nanodet_stem about;
    about.width = (uint16_t)word(from);
    about.height = (uint16_t)word(from);
    about.channels = (uint16_t)word(from);
    about.input_zero_point = (int16_t)(int32_t)word(from);
    about.output_zero_point = (int16_t)(int32_t)word(from);
    uint32_t scratch_bytes = word(from), output_bytes = word(from);
    size_t channel_bytes = about.channels * sizeof(int32_t);
    int32_t *weight = take(from, NANODET_STEM_WORDS * channel_bytes);
    int32_t *bias = take(from, channel_bytes), *multiplier = take(from, channel_bytes);
    int32_t *shift = take(from, channel_bytes);
    int8_t *activation = take(from, 256);
    image source = {NULL, about.width * 3u};
    int8_t *pixels = take(from, (size_t)source.row_bytes * about.height);
    source.pixels = pixels;
    about.weight = weight;
    about.bias = bias;
    about.multiplier = multiplier;
    about.shift = shift;
    about.activation = activation;
    if (scratch_bytes == UINT32_MAX) {
        scratch_bytes = (uint32_t)nanodet_stem_s8_get_scratch_bytes(&about);
    }
    void *scratch = malloc(scratch_bytes ? scratch_bytes : 1);
    int8_t *output = malloc(output_bytes ? output_bytes : 1);
    uint32_t before = runner_ticks();
    nanodet_status status = nanodet_stem_s8(&about, image_row, &source, scratch, scratch_bytes,
                                            output, output_bytes);
    uint32_t ticks = runner_ticks() - before;
    answer(out, status, ticks, output, status == NANODET_OK ? output_bytes : 0);
    free(output);
    free(scratch);
    free(pixels);
    free(activation);
    free(shift);
    free(multiplier);
    free(bias);
    free(weight);
}

/* A view, and the buffer that it looks at. */
typedef struct {
    nanodet_view view;
    int8_t *buffer;
    uint32_t bytes;
} viewed;

static viewed read_view(reader *from) {
    viewed found;
    found.bytes = word(from);
    found.view.pitch = (uint16_t)word(from);
    found.view.run_count = (uint16_t)word(from);
    found.view.runs = take(from, found.view.run_count * sizeof(nanodet_run));
    found.buffer = take(from, found.bytes);
    found.view.first = found.buffer;
    return found;
}

static void forget_view(viewed *found) {
    free((void *)(uintptr_t)found->view.runs);
    free(found->buffer);
}

static void conv(reader *from, FILE *out) {
    nanodet_conv layer;
    uint32_t pixels = word(from), words = word(from), active = word(from), in_place = word(from);
    layer.inputs = (uint16_t)word(from);
    layer.outputs = (uint16_t)word(from);
    layer.pixels = (uint16_t)word(from);
    layer.block = (uint16_t)word(from);
    layer.form = (uint8_t)word(from);
    layer.any_shift = word(from) != 0;
    layer.narrow = word(from) != 0;
    layer.rows = (uint8_t)word(from);
    layer.window = NULL;
    int32_t *stream = take(from, words * sizeof *stream);
    int8_t *activation = active ? take(from, 256) : NULL;
    layer.stream = stream;
    layer.activation = activation;
    uint32_t count = word(from);
    viewed sources[4 * NANODET_CONV_MAX_ROWS], target;
    nanodet_view views[4 * NANODET_CONV_MAX_ROWS];
    nanodet_row targets[NANODET_CONV_MAX_ROWS];
    for (uint32_t i = 0; i < count; i++) {
        sources[i] = read_view(from);
        views[i] = sources[i].view;
    }
    target = read_view(from);
    int8_t *to = in_place ? sources[0].buffer : target.buffer;
    for (uint32_t i = 0; i < layer.rows; i++) {
        targets[i].first = to + i * pixels * target.view.pitch;
        targets[i].pitch = target.view.pitch;
    }
    uint32_t needed = nanodet_conv_s8_get_scratch_words(&layer);
    uint32_t *scratch = malloc(needed * sizeof *scratch);
    uint32_t before = runner_ticks();
    nanodet_conv_s8(&layer, views, count / layer.rows, targets, layer.rows, pixels, scratch);
    uint32_t ticks = runner_ticks() - before;
    answer(out, 0, ticks, to, target.bytes);
    free(scratch);
    forget_view(&target);
    for (uint32_t i = 0; i < count; i++) forget_view(&sources[i]);
    free(activation);
    free(stream);
}

/* A whole layer, in the order in which an engine asks for rows. */
static void depthwise(reader *from, FILE *out) {
    nanodet_depthwise layer;
    nanodet_depthwise_rows at;
    uint32_t words = word(from), active = word(from), height = word(from);
    uint32_t out_height = word(from), top = word(from);
    layer.channels = (uint16_t)word(from);
    layer.kernel = (uint8_t)word(from);
    layer.stride = (uint8_t)word(from);
    layer.input_zero_point = (int8_t)(int32_t)word(from);
    layer.any_shift = word(from) != 0;
    layer.repeats = false;
    at.width = (uint16_t)word(from);
    at.out_width = (uint16_t)word(from);
    at.left = (uint16_t)word(from);
    at.pitch = (uint16_t)word(from);
    at.out_pitch = (uint16_t)word(from);
    int32_t *stream = take(from, words * sizeof *stream);
    int8_t *activation = active ? take(from, 256) : NULL;
    layer.stream = stream;
    layer.activation = activation;
    /* Whole words are read, up to three bytes beyond the last pixel. */
    int8_t *input = take(from, (size_t)height * at.width * at.pitch + 3);
    uint32_t bytes = out_height * at.out_width * at.out_pitch;
    int8_t *output = calloc(bytes, 1);
    uint32_t needed =
        nanodet_depthwise_s8_get_scratch_words(layer.kernel, layer.stride, at.out_width);
    uint32_t *scratch = malloc(needed * sizeof *scratch);
    uint32_t at_once = layer.stride == 1 ? 2 : 1, before = runner_ticks();
    for (uint32_t y = 0; y < out_height; y += at_once) {
        for (uint32_t i = 0; i < layer.kernel + at_once - 1; i++) {
            uint32_t row = y * layer.stride + i - top;
            at.rows[i] = row < height ? input + row * at.width * at.pitch : NULL;
        }
        for (uint32_t i = 0; i < 2; i++) {
            at.out[i] = i < at_once && y + i < out_height
                            ? output + (y + i) * at.out_width * at.out_pitch
                            : NULL;
        }
        nanodet_depthwise_s8(&layer, &at, scratch);
    }
    answer(out, 0, runner_ticks() - before, output, bytes);
    free(scratch);
    free(output);
    free(input);
    free(activation);
    free(stream);
}

static uint8_t *read_file(const char *name, size_t *bytes) {
    FILE *file = fopen(name, "rb");
    if (file == NULL) exit(2);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *content = malloc(*bytes ? *bytes : 1);
    if (content == NULL || fread(content, 1, *bytes, file) != *bytes) exit(2);
    fclose(file);
    return content;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    size_t bytes;
    uint8_t *content = read_file(argv[1], &bytes);
    FILE *out = fopen(argv[2], "wb");
    if (out == NULL) return 2;
    reader all = {content, content + bytes};
    while (all.at < all.end) {
        uint32_t kind = word(&all), length = word(&all);
        if ((size_t)(all.end - all.at) < length) return 3;
        reader one = {all.at, all.at + length};
        all.at += length;
        switch (kind) {
            case POSTPROCESS: postprocess(&one, out); break;
            case PREPROCESS: preprocess(&one, out); break;
            case TO_FRAME: to_frame(&one, out); break;
            case LEAKY_RELU: leaky_relu(&one, out); break;
            case STEM: stem(&one, out); break;
            case CONV: conv(&one, out); break;
            case DEPTHWISE: depthwise(&one, out); break;
            default: return 3;
        }
    }
    free(content);
    return fclose(out) == 0 ? 0 : 2;
}
