#include "nanodet/network.h"

#include <string.h>

#include "nanodet_check.h"
#include "nanodet_steps.h"

typedef struct {
    const nanodet_network *network;
    uint8_t *arena;
    uint32_t *scratch;
    nanodet_fetch *fetch;
    nanodet_take *take;
    void *context;
    uint16_t image_row;
    uint16_t level;
    uint16_t next[NANODET_NETWORK_MAX_LAYERS]; /* Row of each layer. */
} running;

static int8_t *row_of(const running *state, uint32_t number, uint32_t y) {
    const nanodet_buffer *buffer = state->network->buffers + number;
    return (int8_t *)state->arena + buffer->offset + y % buffer->rows * buffer->row_bytes;
}

static nanodet_row piece_row(const running *state, uint32_t number, uint32_t y, uint32_t at) {
    nanodet_row row = {row_of(state, number, y) + at, state->network->buffers[number].pitch};
    return row;
}

static nanodet_view view_of(const running *state, const nanodet_part *part, uint32_t y) {
    nanodet_view view = {row_of(state, part->buffer, y), part->runs, part->run_count,
                         state->network->buffers[part->buffer].pitch};
    return view;
}

static void fetch_row(running *state) {
    const nanodet_network *network = state->network;
    int8_t *row = row_of(state, network->image_buffer, state->image_row);
    state->fetch(state->context, state->image_row++, row);
    uint32_t channels = network->buffers[network->image_buffer].pitch;
    memset(row + channels * network->image_width, network->image_zero_point, channels);
}

/* Sources of the rows of a window; `first` is NULL in a row of padding. */
static nanodet_view *window_views(const running *state, const nanodet_layer *layer, uint32_t y,
                                  nanodet_view *next) {
    uint32_t first = y * layer->stride - layer->above;
    for (uint32_t row = first; row != first + layer->kernel; row++) {
        for (uint32_t i = 0; i < layer->part_count; i++, next++) {
            *next = view_of(state, layer->parts + i, row);
            if (row >= layer->height) next->first = NULL;
        }
    }
    return next;
}

static void conv(const running *state, const nanodet_layer *layer, uint32_t y) {
    nanodet_view sources[NANODET_NETWORK_MAX_VIEWS], *next = sources;
    nanodet_row targets[NANODET_CONV_MAX_ROWS];
    uint32_t rows = nanodet_rows_at_once(layer), left = layer->out_height - y;
    if (rows > left) rows = left;
    for (uint32_t row = 0; row < rows; row++) {
        targets[row] = piece_row(state, layer->out_buffer, y + row, 0);
        if (((const nanodet_conv *)layer->layer)->window != NULL) {
            next = window_views(state, layer, y + row, next);
            continue;
        }
        for (uint32_t i = 0; i < layer->part_count; i++) {
            *next++ = view_of(state, layer->parts + i, y + row);
        }
    }
    nanodet_conv_s8(layer->layer, sources, layer->part_count, targets, rows, layer->out_width,
                    state->scratch);
}

static void stem(const running *state, const nanodet_layer *layer, uint32_t y) {
    const nanodet_network *network = state->network;
    const int8_t *rows[3];
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t row = 2 * y + i;
        rows[i] = row < layer->height ? row_of(state, network->image_buffer, row) : NULL;
    }
    nanodet_image_conv_s8(layer->layer, rows, network->image_zero_point,
                          piece_row(state, layer->out_buffer, y, 0), layer->out_width,
                          state->scratch);
}

static void depthwise(const running *state, const nanodet_layer *layer, uint32_t y) {
    nanodet_depthwise about = *(const nanodet_depthwise *)layer->layer;
    uint32_t at_once = nanodet_rows_at_once(layer), count = layer->kernel + at_once - 1;
    for (uint32_t p = 0; p < layer->piece_count; p++) {
        const nanodet_piece *piece = layer->pieces + p;
        nanodet_depthwise_rows at;
        about.stream = piece->stream;
        about.channels = piece->channels;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t row = y * layer->stride + i - layer->above;
            if (about.repeats && row >= layer->height) {
                row = y * layer->stride + i < layer->above ? 0 : layer->height - 1u;
            }
            at.rows[i] = row < layer->height
                             ? row_of(state, piece->first, row) + piece->first_at
                             : NULL;
        }
        for (uint32_t i = 0; i < 2; i++) {
            at.out[i] = i < at_once && y + i < layer->out_height
                            ? row_of(state, layer->out_buffer, y + i) + piece->out_at
                            : NULL;
        }
        at.width = layer->width;
        at.out_width = layer->out_width;
        at.left = layer->left;
        at.pitch = state->network->buffers[piece->first].pitch;
        at.out_pitch = state->network->buffers[layer->out_buffer].pitch;
        nanodet_depthwise_s8(&about, &at, state->scratch);
    }
}

static void add(const running *state, const nanodet_layer *layer, const nanodet_piece *piece,
                uint32_t y) {
    nanodet_add_s8(layer->layer, piece_row(state, piece->first, y, piece->first_at),
                   piece_row(state, piece->second, y, piece->second_at),
                   piece_row(state, layer->out_buffer, y, piece->out_at), piece->channels,
                   layer->out_width);
}

static void mean(const running *state, const nanodet_layer *layer, const nanodet_piece *piece) {
    nanodet_mean_s8(piece_row(state, piece->first, 0, piece->first_at),
                    state->network->buffers[piece->first].row_bytes, layer->height, layer->width,
                    row_of(state, layer->out_buffer, 0) + piece->out_at, piece->channels);
}

static void gate(const running *state, const nanodet_layer *layer, const nanodet_piece *piece,
                 uint32_t y) {
    nanodet_gate_s8(layer->layer, piece_row(state, piece->first, y, piece->first_at),
                    row_of(state, piece->second, 0) + piece->second_at,
                    piece_row(state, layer->out_buffer, y, piece->out_at), piece->channels,
                    layer->out_width);
}

static void resize(const running *state, const nanodet_layer *layer, const nanodet_piece *piece,
                   uint32_t y) {
    uint32_t near = y / 2, far = y % 2 ? near + 1 : near - 1;
    if (far >= layer->height) far = near; /* Beyond either border. */
    nanodet_resize_double_s8(piece_row(state, piece->first, near, piece->first_at),
                             piece_row(state, piece->first, far, piece->first_at), layer->width,
                             piece_row(state, layer->out_buffer, y, piece->out_at),
                             piece->channels);
}

static void pool(const running *state, const nanodet_layer *layer, const nanodet_piece *piece,
                 uint32_t y) {
    nanodet_row rows[4], out = piece_row(state, layer->out_buffer, y, piece->out_at);
    uint32_t count = 0;
    for (uint32_t i = 0; i < layer->kernel; i++) {
        uint32_t row = y * layer->stride + i;
        if (row < layer->height) {
            rows[count++] = piece_row(state, piece->first, row, piece->first_at);
        }
    }
    if (layer->kind == NANODET_MAX) {
        nanodet_max_pool_s8(rows, count, layer->width, layer->activation, out, layer->out_width,
                            piece->channels);
    } else {
        nanodet_average_pool_s8(rows, layer->kernel, out, layer->out_width, piece->channels);
    }
}

static void decode(const running *state, const nanodet_layer *layer, uint32_t y) {
    const nanodet_piece *piece = layer->pieces;
    nanodet_row cls = piece_row(state, piece->first, y, piece->first_at);
    nanodet_row reg = piece_row(state, piece->second, y, piece->second_at);
    state->take(state->context, piece->out_at, y, &cls, &reg);
}

static void step(running *state, uint32_t number) {
    const nanodet_layer *layer = state->network->layers + number;
    uint32_t y = state->next[number];
    state->next[number] = (uint16_t)(y + nanodet_rows_at_once(layer));
    switch (layer->kind) {
        case NANODET_CONV: conv(state, layer, y); return;
        case NANODET_STEM: stem(state, layer, y); return;
        case NANODET_DECODE: decode(state, layer, y); return;
        case NANODET_DEPTHWISE: depthwise(state, layer, y); return;
        default: break;
    }
    for (uint32_t p = 0; p < layer->piece_count; p++) {
        const nanodet_piece *piece = layer->pieces + p;
        switch (layer->kind) {
            case NANODET_ADD: add(state, layer, piece, y); break;
            case NANODET_MEAN: mean(state, layer, piece); break;
            case NANODET_GATE: gate(state, layer, piece, y); break;
            case NANODET_RESIZE: resize(state, layer, piece, y); break;
            default: pool(state, layer, piece, y); break;
        }
    }
}

nanodet_status nanodet_network_run(const nanodet_network *network, void *arena,
                                   size_t arena_bytes, nanodet_fetch *fetch, nanodet_take *take,
                                   void *context) {
    if (network == NULL || arena == NULL || fetch == NULL || take == NULL) {
        return NANODET_NULL_POINTER;
    }
    if (!nanodet_aligned(arena) || arena_bytes < network->arena_bytes) return NANODET_BAD_SCRATCH;
    running state;
    memset(&state, 0, sizeof state);
    state.network = network;
    state.arena = arena;
    state.scratch =
        (uint32_t *)(void *)(state.arena + network->buffers[network->scratch_buffer].offset);
    state.fetch = fetch;
    state.take = take;
    state.context = context;
    for (uint32_t i = 0; i < network->step_count; i++) {
        if (network->watch != NULL) network->watch(network->steps[i]);
        if (network->steps[i] == network->layer_count) {
            fetch_row(&state);
        } else {
            step(&state, network->steps[i]);
        }
    }
    if (network->watch != NULL) network->watch(network->layer_count + 1u);
    return NANODET_OK;
}
