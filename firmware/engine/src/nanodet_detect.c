#include "nanodet/detect.h"
#include "nanodet_check.h"

typedef struct {
    nanodet_frame_rows rows;
    nanodet_decoding decoding;
} work;

static void fetch(void *context, uint32_t y, int8_t *row) {
    work *state = context;
    nanodet_frame_row(&state->rows, y, row);
}

static void take(void *context, uint32_t level, uint32_t y, const nanodet_row *cls,
                 const nanodet_row *reg) {
    work *state = context;
    nanodet_decode_row(&state->decoding, level, y, cls->first, cls->pitch, reg->first, reg->pitch);
}

/* Levels are handed over by number, and rows by the height that the model gives them. */
static bool agree(const nanodet_network *network, const nanodet_model *model) {
    uint32_t channels = network->buffers[network->image_buffer].pitch;
    if (network->image_width != model->width || network->image_height != model->height) return false;
    if (channels * model->width != nanodet_row_bytes(model)) return false;
    for (uint32_t i = 0; i < network->layer_count; i++) {
        const nanodet_layer *layer = network->layers + i;
        if (layer->kind != NANODET_DECODE) continue;
        uint32_t level = layer->pieces->out_at;
        if (level >= model->level_count || layer->out_height != model->levels[level].rows ||
            layer->out_width != model->levels[level].columns) {
            return false;
        }
    }
    return true;
}

static nanodet_status start(work *state, const nanodet_detector *detector,
                            const nanodet_frame *frame, uint8_t *arena, size_t arena_bytes) {
    size_t columns = detector->columns_at, candidates = detector->candidates_at;
    if (!nanodet_aligned(arena) || arena_bytes < detector->arena_bytes) return NANODET_BAD_SCRATCH;
    if (columns > detector->arena_bytes || candidates > detector->arena_bytes) {
        return NANODET_BAD_MODEL;
    }
    nanodet_status status = nanodet_decode_init(&state->decoding, detector->model,
                                                &detector->selection, arena + candidates,
                                                detector->arena_bytes - candidates);
    if (status != NANODET_OK) return status;
    if (!agree(detector->network, detector->model)) return NANODET_BAD_MODEL;
    return nanodet_frame_rows_init(&state->rows, detector->model, frame, detector->resize,
                                   arena + columns, detector->arena_bytes - columns);
}

nanodet_status nanodet_detect(const nanodet_detector *detector, const nanodet_frame *frame,
                              void *arena, size_t arena_bytes, nanodet_detection *detections,
                              uint16_t capacity, uint16_t *count) {
    if (count == NULL) return NANODET_NULL_POINTER;
    *count = 0;
    if (detector == NULL || detector->network == NULL || arena == NULL || detections == NULL) {
        return NANODET_NULL_POINTER;
    }
    work state;
    nanodet_status status = start(&state, detector, frame, arena, arena_bytes);
    if (status != NANODET_OK) return status;
    status = nanodet_network_run(detector->network, arena, arena_bytes, fetch, take, &state);
    if (status != NANODET_OK) return status;
    uint16_t found = nanodet_decode_finish(&state.decoding, detections, capacity);
    status = nanodet_boxes_to_frame(detector->model, frame->width, frame->height, detections, found);
    if (status == NANODET_OK) *count = found;
    return status;
}
