/* Detects objects with a .tflite file of the kit, in plain C99:
 * cc detect.c your_network.c -lm && ./a.out < picture.ppm */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "model.h" /* Of describe.py. */

#define MOST 100
#define CANDIDATES 1000
#define SIDE 4096 /* Of a picture, at most. */
#define STEPS (KEEP_RATIO ? 32 : 2048) /* A pixel, where the picture is read between pixels. */

/* Yours. Runs the file on the input, and says where its outputs lie, the finest stride first. */
void run_network(const int8_t *input, const int8_t *cls[LEVELS], const int8_t *reg[LEVELS]);

typedef struct { int box[4], score, class_id; } detection;

/* The pixel of `source` that pixel i of `target` reads, and how much of the next one. */
static int tap(int i, int source, int target, int num, int den, int *rest) {
    double inside = fmin(fmax((2.0 * i + 1) * source - target, 0), (source - 1) * 2.0 * target);
    double at = KEEP_RATIO ? rint((2 * i - target) * 16.0 * num / den) + 16.0 * source
                           : rint(inside * STEPS / (2.0 * target));
    int first = (int)floor(at / STEPS);
    *rest = (int)at - first * STEPS;
    return first;
}

static void letterbox(const uint8_t *rgb, int w, int h, int8_t *input) {
    int wide = w * HEIGHT >= h * WIDTH, num = wide ? w : h, den = wide ? WIDTH : HEIGHT;
    for (int at = 0; at < WIDTH * HEIGHT * 3; at++) {
        int cell = at / 3, right, down, x = tap(cell % WIDTH, w, WIDTH, num, den, &right);
        int y = tap(cell / WIDTH, h, HEIGHT, num, den, &down), to = BGR ? 2 - at % 3 : at % 3;
        uint32_t total = STEPS * STEPS / 2;
        for (int k = 0; k < 4; k++) { /* Outside the picture it is black. */
            int px = x + k % 2, py = y + k / 2, share = k % 2 ? right : STEPS - right;
            if (px < 0 || py < 0 || px >= w || py >= h) continue;
            total += (uint32_t)(share * (k / 2 ? down : STEPS - down)) *
                     rgb[(py * w + px) * 3 + at % 3];
        }
        input[(ROTATED ? WIDTH * HEIGHT - 1 - cell : cell) * 3 + to] =
            (int8_t)((int)(total / (STEPS * STEPS)) - 128);
    }
}

/* Sixteenths of a pixel from the cell's centre to a side. */
static int distance(const int8_t *bins, const uint16_t *weight, int unit) {
    uint32_t sum = 0, moment = 0;
    int most = -128;
    for (int b = 0; b < BINS; b++) most = bins[b] > most ? bins[b] : most;
    for (int b = 0; b < BINS; b++) {
        sum += weight[most - bins[b]];
        moment += weight[most - bins[b]] * (uint32_t)b;
    }
    return (int)((moment * (uint32_t)unit + sum / 2) / sum);
}

static detection *decode(int level, const int8_t *cls, const int8_t *reg, detection *next) {
    int stride = strides[level], unit = stride * 16, columns = (WIDTH + stride - 1) / stride;
    int cells = columns * ((HEIGHT + stride - 1) / stride);
    for (int at = 0; at < cells * CLASSES; at++) {
        int cell = at / CLASSES, from = ROTATED ? cells - 1 - cell : cell;
        next->class_id = at % CLASSES;
        next->score = scores[level][cls[from * CLASSES + next->class_id] + 128];
        if (next->score == 0) continue;
        for (int side = 0; side < 4; side++) { /* Left, top, right, bottom. */
            int far = distance(reg + (from * 4 + side) * BINS, weights[level], unit);
            int along = side % 2 ? cell / columns : cell % columns;
            int centre = along * unit + (int)rint(OFFSET * unit);
            int to = side < 2 ? centre - far : centre + far, most = side % 2 ? HEIGHT : WIDTH;
            next->box[side] = to < 0 ? 0 : to > most * 16 ? most * 16 : to;
        }
        next++;
    }
    return next;
}

static int area(const int *b) {
    return b[2] <= b[0] || b[3] <= b[1] ? 0 : (b[2] - b[0]) * (b[3] - b[1]);
}

/* Whether boxes share more than 0.6 of their union. */
static int overlap(const int *a, const int *b) {
    int both[4];
    for (int i = 0; i < 4; i++) both[i] = (i < 2) == (a[i] > b[i]) ? a[i] : b[i];
    int64_t shared = area(both), all = (int64_t)area(a) + area(b) - shared;
    return shared * 1024 > all * 614;
}

static void print(const detection *found, int w, int h) {
    double fit_x = (double)WIDTH / w, fit_y = (double)HEIGHT / h, fit = fmin(fit_x, fit_y);
    printf("%-16s %.3f ", names[found->class_id], found->score / 65536.0);
    for (int side = 0; side < 4; side++) {
        double scale = KEEP_RATIO ? fit : side % 2 ? fit_y : fit_x, from = side % 2 ? h : w;
        double offset = (side % 2 ? HEIGHT : WIDTH) * 0.5 - scale * (from / 2);
        double to = (found->box[side] / 16.0 - offset) / scale;
        printf(" %7.1f", (double)(float)fmin(fmax(to, 0), from));
    }
    printf("\n");
}

int main(void) {
    static int8_t input[WIDTH * HEIGHT * 3];
    static uint8_t rgb[SIDE * SIDE * 3];
    static detection found[CELLS * CLASSES + 1], kept[MOST];
    const int8_t *cls[LEVELS], *reg[LEVELS];
    detection *end = found;
    int w, h, count = 0;
    if (scanf("P6 %d %d 255", &w, &h) != 2 || w < 1 || h < 1 || w > SIDE || h > SIDE) return 2;
    if (getchar() == EOF || fread(rgb, 3, (size_t)(w * h), stdin) != (size_t)(w * h)) return 2;
    letterbox(rgb, w, h, input);
    run_network(input, cls, reg);
    for (int i = 0; i < LEVELS; i++) end = decode(i, cls[i], reg[i], end);
    for (int tried = 0; tried < CANDIDATES && count < MOST; tried++) {
        detection *best = found;
        for (detection *d = found; d < end; d++) best = d->score > best->score ? d : best;
        if (best == end || best->score == 0) break;
        int stands = 1;
        for (int i = 0; i < count; i++) {
            stands &= kept[i].class_id != best->class_id || !overlap(kept[i].box, best->box);
        }
        if (stands) {
            print(best, w, h);
            kept[count++] = *best;
        }
        best->score = 0;
    }
    return 0;
}
