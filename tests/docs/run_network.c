/* `run_network` of docs/own-code/detect.c: another program, NANODET_RUN, runs the file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

typedef struct { const int8_t *cls, *reg; float cls_scale, reg_scale; int cls_zero; } level;

static void read_all(void *to, size_t bytes, FILE *file) {
    if (fread(to, 1, bytes, file) != bytes) exit(8);
}

static const int8_t *tensor(size_t bytes, FILE *file) {
    static int8_t all[CELLS * (CLASSES + 4 * BINS)], *next = all;
    const int8_t *values = next;
    read_all(next, bytes, file);
    next += bytes;
    return values;
}

void run_network(const int8_t *input, level *levels) {
    FILE *file = fopen("input.bin", "wb");
    if (file == NULL || fwrite(input, 3, WIDTH * HEIGHT, file) != WIDTH * HEIGHT) exit(7);
    fclose(file);
    if (system(getenv("NANODET_RUN")) != 0) exit(9);
    file = fopen("outputs.bin", "rb");
    if (file == NULL) exit(8);
    for (uint32_t sizes[2]; fread(sizes, sizeof sizes, 1, file) == 1; levels++) {
        read_all(&levels->cls_scale, sizeof(float), file);
        read_all(&levels->reg_scale, sizeof(float), file);
        read_all(&levels->cls_zero, sizeof(int), file);
        levels->cls = tensor(sizes[0], file);
        levels->reg = tensor(sizes[1], file);
    }
    fclose(file);
}
