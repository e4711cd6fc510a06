/* `run_network` of docs/own-code/detect.c: another program, NANODET_RUN, runs the file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

static const int8_t *tensor(size_t bytes, FILE *file) {
    static int8_t all[CELLS * (CLASSES + 4 * BINS)], *next = all;
    const int8_t *values = next;
    if (fread(next, 1, bytes, file) != bytes) exit(8);
    next += bytes;
    return values;
}

void run_network(const int8_t *input, const int8_t *cls[LEVELS], const int8_t *reg[LEVELS]) {
    FILE *file = fopen("input.bin", "wb");
    if (file == NULL || fwrite(input, 3, WIDTH * HEIGHT, file) != WIDTH * HEIGHT) exit(7);
    fclose(file);
    if (system(getenv("NANODET_RUN")) != 0) exit(9);
    file = fopen("outputs.bin", "rb");
    if (file == NULL) exit(8);
    for (uint32_t sizes[2]; fread(sizes, sizeof sizes, 1, file) == 1;) {
        *cls++ = tensor(sizes[0], file);
        *reg++ = tensor(sizes[1], file);
    }
    fclose(file);
}
