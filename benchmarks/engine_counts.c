/* Prints the instructions of a network's layers, one a line, then of fetching the image's rows, then
 * of all together. They do not depend on what the tensors hold. */
#include <stdio.h>
#include <stdlib.h>

#include "nanodet/network.h"

uint32_t runner_ticks(void);

extern const nanodet_network network;

static void fetch(void *context, uint32_t y, int8_t *row) {
    (void)context, (void)y, (void)row;
}

static void take(void *context, uint32_t level, uint32_t y, const nanodet_row *cls,
                 const nanodet_row *reg) {
    (void)context, (void)level, (void)y, (void)cls, (void)reg;
}

/* Of the steps of one layer, or of all where `layer` is none. */
static uint32_t count(void *arena, uint8_t *steps, uint32_t layer) {
    nanodet_network part = network;
    part.steps = steps;
    part.step_count = 0;
    for (uint32_t i = 0; i < network.step_count; i++) {
        if (layer <= network.layer_count && network.steps[i] != layer) continue;
        steps[part.step_count++] = network.steps[i];
    }
    uint32_t start = runner_ticks();
    if (nanodet_network_run(&part, arena, part.arena_bytes, fetch, take, NULL)) exit(1);
    return runner_ticks() - start;
}

int main(void) {
    void *arena = calloc(1, network.arena_bytes);
    uint8_t *steps = malloc(network.step_count);
    if (arena == NULL || steps == NULL) return 1;
    for (uint32_t layer = 0; layer <= network.layer_count + 1u; layer++) {
        printf("%lu\n", (unsigned long)count(arena, steps, layer));
    }
    return 0;
}
