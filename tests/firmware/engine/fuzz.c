/* Opens an emitted network with a few of its numbers changed, and runs it where it opens.
 *
 * fuzz CASES: prints how many opened. Sanitizers end the run at the first byte that is read or
 * written beyond an array. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nanodet/network.h"

#define MOST_FIELDS 8192
#define MOST_CHANGES 3
#define MOST_ARENA (1u << 20)

extern const nanodet_network network;

typedef struct {
    void *at;
    size_t bytes;
    bool count; /* Of an array: it may only shrink. */
} field;

static field fields[MOST_FIELDS];
static uint32_t field_count, touched;

static uint32_t draw(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void add_field(void *at, size_t bytes, bool count) {
    if (field_count == MOST_FIELDS) exit(2);
    field one = {at, bytes, count};
    fields[field_count++] = one;
}
#define FIELD(name) add_field(&(name), sizeof(name), false)
#define COUNT(name) add_field(&(name), sizeof(name), true)

/* On the heap, so that the sanitizers see its end. */
static void *copy(const void *from, size_t bytes) {
    if (from == NULL) return NULL;
    void *made = malloc(bytes ? bytes : 1);
    if (made == NULL) exit(2);
    return memcpy(made, from, bytes);
}

static const int32_t *copy_words(const int32_t *from, uint32_t words) {
    int32_t *made = copy(from, 4 * words);
    for (uint32_t i = 0; i < words; i++) FIELD(made[i]);
    return made;
}

static const void *copy_conv(const nanodet_conv *from) {
    nanodet_conv *conv = copy(from, sizeof *from);
    conv->stream = copy_words(conv->stream, conv->words);
    conv->activation = copy(conv->activation, 256);
    COUNT(conv->words);
    FIELD(conv->inputs);
    FIELD(conv->outputs);
    FIELD(conv->pixels);
    FIELD(conv->block);
    FIELD(conv->form);
    FIELD(conv->rows);
    if (conv->window != NULL) {
        nanodet_window *window = copy(conv->window, sizeof *window);
        FIELD(window->width);
        FIELD(window->channels);
        for (uint8_t *at = &window->kernel; at <= &window->left; at++) FIELD(*at);
        conv->window = window;
    }
    return conv;
}

static const void *copy_depthwise(const nanodet_depthwise *from) {
    nanodet_depthwise *depthwise = copy(from, sizeof *from);
    depthwise->activation = copy(depthwise->activation, 256);
    FIELD(depthwise->channels);
    FIELD(depthwise->kernel);
    FIELD(depthwise->stride);
    FIELD(depthwise->input_zero_point);
    return depthwise;
}

static const void *copy_add(const nanodet_add *from) {
    nanodet_add *add = copy(from, sizeof *from);
    add->first = copy_words(add->first, 256);
    add->second = copy_words(add->second, 256);
    for (uint32_t i = 0; i < 3; i++) FIELD(add->rule[i]);
    return add;
}

static const void *copy_gate(const nanodet_gate *from) {
    nanodet_gate *gate = copy(from, sizeof *from);
    for (uint32_t i = 0; i < 3; i++) FIELD(gate->rule[i]);
    return gate;
}

static void copy_layer(nanodet_layer *layer) {
    nanodet_part *parts = copy(layer->parts, layer->part_count * sizeof *parts);
    for (uint32_t i = 0; i < layer->part_count; i++) {
        nanodet_run *runs = copy(parts[i].runs, parts[i].run_count * sizeof *runs);
        for (uint32_t j = 0; j < parts[i].run_count; j++) {
            FIELD(runs[j].offset);
            FIELD(runs[j].bytes);
        }
        parts[i].runs = runs;
        COUNT(parts[i].run_count);
        FIELD(parts[i].buffer);
    }
    nanodet_piece *pieces = copy(layer->pieces, layer->piece_count * sizeof *pieces);
    for (uint32_t i = 0; i < layer->piece_count; i++) {
        nanodet_piece *piece = pieces + i;
        piece->stream = copy_words(piece->stream, piece->words);
        COUNT(piece->words);
        FIELD(piece->first);
        FIELD(piece->second);
        FIELD(piece->first_at);
        FIELD(piece->second_at);
        FIELD(piece->out_at);
        FIELD(piece->channels);
    }
    layer->parts = parts;
    layer->pieces = pieces;
    if (layer->kind == NANODET_CONV || layer->kind == NANODET_STEM) {
        layer->layer = copy_conv(layer->layer);
    } else if (layer->kind == NANODET_DEPTHWISE) {
        layer->layer = copy_depthwise(layer->layer);
    } else if (layer->kind == NANODET_ADD) {
        layer->layer = copy_add(layer->layer);
    } else if (layer->kind == NANODET_GATE) {
        layer->layer = copy_gate(layer->layer);
    }
    layer->activation = copy(layer->activation, 256);
    COUNT(layer->part_count);
    COUNT(layer->piece_count);
    for (uint8_t *at = &layer->kernel; at <= &layer->left; at++) FIELD(*at);
    FIELD(layer->out_buffer);
    for (uint16_t *at = &layer->height; at <= &layer->out_width; at++) FIELD(*at);
}

static void copy_network(nanodet_network *made) {
    *made = network;
    nanodet_buffer *buffers = copy(made->buffers, made->buffer_count * sizeof *buffers);
    for (uint32_t i = 0; i < made->buffer_count; i++) {
        FIELD(buffers[i].offset);
        FIELD(buffers[i].row_bytes);
        FIELD(buffers[i].rows);
        FIELD(buffers[i].pitch);
    }
    nanodet_layer *layers = copy(made->layers, made->layer_count * sizeof *layers);
    for (uint32_t i = 0; i < made->layer_count; i++) copy_layer(layers + i);
    uint8_t *steps = copy(made->steps, made->step_count);
    for (uint32_t i = 0; i < made->step_count; i++) FIELD(steps[i]);
    made->buffers = buffers;
    made->layers = layers;
    made->steps = steps;
    COUNT(made->step_count);
    COUNT(made->layer_count);
    COUNT(made->buffer_count);
    FIELD(made->arena_bytes);
    FIELD(made->image_buffer);
    FIELD(made->scratch_buffer);
    FIELD(made->image_zero_point);
    FIELD(made->image_width);
    FIELD(made->image_height);
}

/* Another number; `before` keeps the old one. */
static void change(const field *one, uint32_t *before) {
    uint32_t old = 0, new;
    memcpy(&old, one->at, one->bytes);
    switch (draw() % 5) {
        case 0: new = draw() % 8; break;
        case 1: new = old + 1; break;
        case 2: new = old - 1; break;
        case 3: new = old ^ 1u << draw() % 32; break;
        default: new = draw();
    }
    if (one->count) new %= old + 1;
    *before = old;
    memcpy(one->at, &new, one->bytes);
}

static void fetch(void *context, uint32_t y, int8_t *row) {
    const nanodet_network *about = context;
    memset(row, (int)y, about->buffers[about->image_buffer].pitch * (size_t)about->image_width);
}

static void take(void *context, uint32_t level, uint32_t y, const nanodet_row *cls,
                 const nanodet_row *reg) {
    (void)context;
    touched += level + y + (uint8_t)cls->first[0] + (uint8_t)reg->first[0];
}

static bool run(nanodet_network *changed) {
    nanodet_status status = nanodet_network_open(changed);
    if (status != NANODET_OK || changed->arena_bytes > MOST_ARENA) return false;
    int8_t *arena = malloc(changed->arena_bytes + 1u);
    uint32_t shift = draw() % 16 == 0, less = draw() % 16 == 0;
    if (arena == NULL) exit(2);
    memset(arena, (int)draw(), changed->arena_bytes);
    status = nanodet_network_run(changed, arena + shift, changed->arena_bytes - less, fetch, take,
                                 changed);
    free(arena);
    if (status != (shift || less ? NANODET_BAD_SCRATCH : NANODET_OK)) exit(5);
    return true;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    static nanodet_network changed;
    uint32_t cases = (uint32_t)atoi(argv[1]), opened = 0;
    copy_network(&changed);
    if (nanodet_network_open(NULL) != NANODET_NULL_POINTER || !run(&changed)) return 4;
    for (uint32_t i = 0; i < cases; i++) {
        const field *chosen[MOST_CHANGES];
        uint32_t before[MOST_CHANGES], count = 1 + draw() % MOST_CHANGES;
        for (uint32_t j = 0; j < count; j++) {
            chosen[j] = fields + draw() % field_count;
            change(chosen[j], before + j);
        }
        opened += run(&changed);
        while (count-- > 0) memcpy(chosen[count]->at, before + count, chosen[count]->bytes);
    }
    printf("%u %u\n", opened, touched);
    return 0;
}
