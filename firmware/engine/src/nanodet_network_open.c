#include "nanodet/network.h"

#include "nanodet_conv.h"
#include "nanodet_depthwise.h"
#include "nanodet_requantize.h"
#include "nanodet_steps.h"

#define BEYOND 3 /* Bytes that a kernel reads beyond a pixel's channels. */
#define IMAGE_INPUTS 28 /* Of a window, in whole words. */
#define GREY_INPUTS 12
#define MOST_OF_MEAN (1u << 24) /* Pixels whose sum fits 32 bits. */

/* Does a row of the buffer hold so many pixels of so many bytes from `at` on? */
static bool holds(const nanodet_network *network, uint32_t buffer, uint32_t at, uint32_t bytes,
                  uint32_t pixels) {
    if (buffer >= network->buffer_count || pixels == 0) return false;
    const nanodet_buffer *about = network->buffers + buffer;
    return (uint64_t)(pixels - 1) * about->pitch + at + bytes <= about->row_bytes;
}

static bool has_scratch(const nanodet_network *network, uint64_t words) {
    return 4 * words <= network->buffers[network->scratch_buffer].row_bytes;
}

/* Does what a layer writes leave scratch memory alone? Widened weights there say where it writes. */
static bool spares_scratch(const nanodet_network *network, uint32_t buffer) {
    if (buffer >= network->buffer_count) return false;
    const nanodet_buffer *out = network->buffers + buffer;
    const nanodet_buffer *scratch = network->buffers + network->scratch_buffer;
    return out->offset + (uint64_t)out->rows * out->row_bytes <= scratch->offset ||
           scratch->offset + (uint64_t)scratch->rows * scratch->row_bytes <= out->offset;
}

static bool check_buffers(const nanodet_network *network) {
    for (uint32_t i = 0; i < network->buffer_count; i++) {
        const nanodet_buffer *about = network->buffers + i;
        uint64_t end = about->offset + (uint64_t)about->rows * about->row_bytes + BEYOND;
        if (about->rows == 0 || end > network->arena_bytes) return false;
    }
    if (network->scratch_buffer >= network->buffer_count) return false;
    if (network->buffers[network->scratch_buffer].offset % 4 != 0) return false;
    if (network->image_buffer >= network->buffer_count) return false;
    uint32_t channels = network->buffers[network->image_buffer].pitch;
    return (channels == 1 || channels == 3) &&
           holds(network, network->image_buffer, 0, channels, network->image_width + 1u);
}

/* rule: multiplier, offset, shift. */
static bool check_rule(const int32_t rule[3], bool any_shift) {
    int32_t shift = (int8_t)(uint8_t)rule[2];
    if (rule[0] < 0) return false;
    if (shift >= NANODET_LEAST_SHIFT && shift <= NANODET_MOST_SHIFT) {
        return rule[1] > -(1 << 30) && rule[1] < 1 << 30;
    }
    return any_shift && shift >= -30 && shift <= 31;
}

static bool check_conv(const nanodet_network *network, const nanodet_layer *layer) {
    const nanodet_conv *conv = layer->layer;
    if (conv == NULL || conv->stream == NULL) return false;
    if (conv->inputs == 0 || conv->inputs % 4 != 0 || conv->outputs % 2 != 0) return false;
    if (conv->block == 0 || conv->block % 2 != 0) return false;
    if (conv->rows == 0 || conv->rows > NANODET_CONV_MAX_ROWS) return false;
    if (conv->pixels < NANODET_CONV_MOST * conv->rows) return false;
    if (conv->form != 2 && conv->form != 3) return false;
    uint32_t words = 2 + nanodet_conv_weights(conv) + NANODET_CONV_PARAMETERS;
    if ((uint64_t)conv->outputs / 2 * words > conv->words) return false;
    for (uint32_t n = 0; n < conv->outputs; n += 2) {
        const int32_t *rule = nanodet_conv_at(conv, n) + 2 + nanodet_conv_weights(conv);
        for (uint32_t i = 0; i < 2; i++, rule += 3) {
            if (!check_rule(rule, conv->any_shift)) return false;
            if (!holds(network, layer->out_buffer, nanodet_place(rule), 1, layer->out_width)) {
                return false;
            }
        }
    }
    if (conv->narrow && !spares_scratch(network, layer->out_buffer)) return false;
    return has_scratch(network, nanodet_conv_s8_get_scratch_words(conv));
}

/* Is the layer's window the convolution's, and does it have as many inputs as there are? */
static bool check_window(const nanodet_layer *layer, const nanodet_conv *conv) {
    const nanodet_window *window = conv->window;
    if (window == NULL) return layer->kernel == 1 && layer->stride == 1 && layer->above == 0;
    uint32_t square = (uint32_t)window->kernel * window->kernel;
    return window->width == layer->width && window->kernel == layer->kernel &&
           window->stride == layer->stride && square * window->channels <= conv->inputs &&
           window->kernel * conv->rows * layer->part_count <= NANODET_NETWORK_MAX_VIEWS;
}

static bool check_parts(const nanodet_network *network, const nanodet_layer *layer) {
    const nanodet_conv *conv = layer->layer;
    const nanodet_window *window = conv->window;
    uint32_t bytes = 0, most = window == NULL ? conv->inputs : window->channels;
    uint32_t pixels = window == NULL ? layer->out_width : layer->width;
    if (layer->parts == NULL || layer->part_count > NANODET_NETWORK_MAX_PARTS) return false;
    if (layer->part_count == 0 || !check_window(layer, conv)) return false;
    for (uint32_t i = 0; i < layer->part_count; i++) {
        const nanodet_part *part = layer->parts + i;
        if (part->runs == NULL || part->run_count == 0) return false;
        for (const nanodet_run *run = part->runs; run < part->runs + part->run_count; run++) {
            bytes += run->bytes;
            if (run->bytes == 0 || bytes > most) return false;
            if (!holds(network, part->buffer, run->offset, run->bytes, pixels)) return false;
        }
    }
    return true;
}

static bool check_stem(const nanodet_network *network, const nanodet_layer *layer) {
    const nanodet_conv *conv = layer->layer;
    uint32_t channels = network->buffers[network->image_buffer].pitch;
    return conv->inputs == (channels == 1 ? GREY_INPUTS : IMAGE_INPUTS) && !conv->narrow &&
           conv->rows == 1 && conv->window == NULL &&
           holds(network, network->image_buffer, 0, 3 * channels, 2u * layer->out_width - 1u) &&
           2 * (layer->out_height - 1u) + 1 < layer->height;
}

static bool check_depthwise(const nanodet_network *network, const nanodet_layer *layer,
                            const nanodet_piece *piece) {
    const nanodet_depthwise *depthwise = layer->layer;
    if (depthwise == NULL || piece->stream == NULL) return false;
    if (layer->kernel < 3 || layer->kernel > 5 || (layer->stride != 1 && layer->stride != 2)) {
        return false;
    }
    if (depthwise->kernel != layer->kernel || depthwise->stride != layer->stride) return false;
    uint32_t words = 4 + nanodet_depthwise_weights(layer->kernel, layer->stride);
    if ((uint64_t)words * piece->channels > piece->words) return false;
    for (uint32_t c = 0; c < piece->channels; c++) {
        if (!check_rule(piece->stream + c * words + 1, depthwise->any_shift)) return false;
    }
    return has_scratch(network, nanodet_depthwise_s8_get_scratch_words(
                                    layer->kernel, layer->stride, layer->out_width));
}

/* Pixels of a source's row that a layer reads; 0: the layer is not sound. */
static uint32_t pixels_read(const nanodet_network *network, const nanodet_layer *layer,
                            const nanodet_piece *piece) {
    const nanodet_add *add = layer->layer;
    const nanodet_gate *gate = layer->layer;
    uint32_t kernel = layer->kernel;
    switch (layer->kind) {
        case NANODET_DEPTHWISE: return check_depthwise(network, layer, piece) ? layer->width : 0;
        case NANODET_ADD:
            if (add == NULL || add->first == NULL || add->second == NULL) return 0;
            if (!check_rule(add->rule, true)) return 0;
            return holds(network, piece->second, piece->second_at, piece->channels,
                         layer->out_width) ? layer->out_width : 0;
        case NANODET_MEAN:
            if (piece->first >= network->buffer_count) return 0;
            if (network->buffers[piece->first].rows < layer->height) return 0;
            return (uint32_t)layer->height * layer->width <= MOST_OF_MEAN ? layer->width : 0;
        case NANODET_GATE:
            if (gate == NULL || !check_rule(gate->rule, false)) return 0;
            return holds(network, piece->second, piece->second_at, piece->channels, 1)
                       ? layer->out_width : 0;
        case NANODET_RESIZE: return layer->out_width == 2 * layer->width ? layer->width : 0;
        case NANODET_AVERAGE:
            if ((kernel != 2 && kernel != 4) || layer->stride != kernel) return 0;
            if (layer->out_height * kernel > layer->height) return 0;
            return layer->out_width * kernel;
        case NANODET_MAX:
            if (kernel != 3 || layer->stride != 2) return 0;
            return 2 * (layer->out_height - 1u) < layer->height ? layer->width : 0;
        default:
            return holds(network, piece->second, piece->second_at, 1, layer->out_width)
                       ? layer->out_width : 0;
    }
}

static bool check_pieces(const nanodet_network *network, const nanodet_layer *layer) {
    bool decodes = layer->kind == NANODET_DECODE;
    if (layer->pieces == NULL || layer->piece_count == 0) return false;
    for (uint32_t i = 0; i < layer->piece_count; i++) {
        const nanodet_piece *piece = layer->pieces + i;
        uint32_t pixels = pixels_read(network, layer, piece);
        if (!holds(network, piece->first, piece->first_at, piece->channels, pixels)) return false;
        if (!decodes && !holds(network, layer->out_buffer, piece->out_at, piece->channels,
                               layer->out_width)) {
            return false;
        }
    }
    return true;
}

static bool check_layer(const nanodet_network *network, const nanodet_layer *layer) {
    if (layer->height == 0 || layer->width == 0) return false;
    if (layer->out_height == 0 || layer->out_width == 0) return false;
    switch (layer->kind) {
        case NANODET_CONV: return check_conv(network, layer) && check_parts(network, layer);
        case NANODET_STEM: return check_conv(network, layer) && check_stem(network, layer);
        case NANODET_DEPTHWISE:
        case NANODET_ADD:
        case NANODET_RESIZE:
        case NANODET_AVERAGE:
        case NANODET_MAX:
        case NANODET_MEAN:
        case NANODET_GATE:
        case NANODET_DECODE: return check_pieces(network, layer);
        default: return false;
    }
}

/* No layer computes a row that it does not have. */
static bool check_steps(const nanodet_network *network) {
    uint16_t next[NANODET_NETWORK_MAX_LAYERS + 1] = {0};
    for (uint32_t i = 0; i < network->step_count; i++) {
        uint32_t number = network->steps[i];
        if (number > network->layer_count) return false;
        const nanodet_layer *layer = network->layers + number;
        bool image = number == network->layer_count;
        uint32_t height = image ? network->image_height : layer->out_height;
        if (next[number] >= height) return false;
        uint32_t rows = image ? 1 : nanodet_rows_at_once(layer);
        next[number] = (uint16_t)(next[number] + rows);
    }
    return true;
}

nanodet_status nanodet_network_open(const nanodet_network *network) {
    if (network == NULL || network->buffers == NULL || network->layers == NULL ||
        network->steps == NULL) {
        return NANODET_NULL_POINTER;
    }
    if (network->layer_count > NANODET_NETWORK_MAX_LAYERS) return NANODET_BAD_MODEL;
    if (!check_buffers(network)) return NANODET_BAD_BUFFER;
    for (uint32_t i = 0; i < network->layer_count; i++) {
        if (!check_layer(network, network->layers + i)) return NANODET_BAD_MODEL;
    }
    return check_steps(network) ? NANODET_OK : NANODET_BAD_MODEL;
}
