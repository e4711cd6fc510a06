/* Detects objects with a .tflite file of the kit, in plain C99:
 * cc detect.c your_network.c -lm && ./a.out < picture.ppm */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h" /* Of describe.py. */

#define SCORE 0.35
#define IOU 0.6
#define MOST 100
#define CANDIDATES 1000
#define SIDE 4096 /* Of a picture, at most. */
#define STEPS (KEEP_RATIO ? 32 : 2048) /* A pixel, where the picture is read between pixels. */

/* Yours. Runs the file on the input and fills in its outputs, the finest stride first. */
typedef struct { const int8_t *cls, *reg; float cls_scale, reg_scale; int cls_zero; } level;
void run_network(const int8_t *input, level levels[LEVELS]);

typedef struct { int box[4], score, class_id, number; } candidate;

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
static int distance(const int8_t *bins, double scale, int unit) {
    uint32_t sum = 0, moment = 0;
    int most = -128;
    for (int b = 0; b < BINS; b++) most = bins[b] > most ? bins[b] : most;
    for (int b = 0; b < BINS; b++) {
        uint32_t weight = (uint32_t)rint(exp((bins[b] - most) * scale) * 16384);
        sum += weight;
        moment += weight * (uint32_t)b;
    }
    return (int)((moment * (uint32_t)unit + sum / 2) / sum);
}

static candidate *decode(const level *l, int stride, candidate *next) {
    int columns = (WIDTH + stride - 1) / stride, rows = (HEIGHT + stride - 1) / stride;
    for (int at = 0; at < rows * columns * CLASSES; at++) {
        int cell = at / CLASSES, from = ROTATED ? rows * columns - 1 - cell : cell;
        int logit = l->cls[from * CLASSES + at % CLASSES], unit = stride * 16;
        double score = 1 / (1 + exp((l->cls_zero - logit) * (double)l->cls_scale));
        if (score <= SCORE) continue;
        next->score = (int)fmin(rint(score * 65536), 65535);
        next->class_id = at % CLASSES;
        for (int side = 0; side < 4; side++) { /* Left, top, right, bottom. */
            const int8_t *bins = l->reg + (from * 4 + side) * BINS;
            int far = distance(bins, (double)l->reg_scale, unit), most = side % 2 ? HEIGHT : WIDTH;
            int along = side % 2 ? cell / columns : cell % columns;
            int centre = along * unit + (int)rint(OFFSET * unit);
            int to = side < 2 ? centre - far : centre + far;
            next->box[side] = to < 0 ? 0 : to > most * 16 ? most * 16 : to;
        }
        next++;
    }
    return next;
}

static int best_first(const void *a, const void *b) {
    const candidate *one = a, *other = b;
    return one->score != other->score ? other->score - one->score : one->number - other->number;
}

static int area(const int *b) {
    return b[2] <= b[0] || b[3] <= b[1] ? 0 : (b[2] - b[0]) * (b[3] - b[1]);
}

static int overlap(const int *a, const int *b) {
    int both[4];
    for (int i = 0; i < 4; i++) both[i] = (i < 2) == (a[i] > b[i]) ? a[i] : b[i];
    int64_t shared = area(both), all = (int64_t)area(a) + area(b) - shared;
    return shared * 1024 > all * (int)rint(IOU * 1024);
}

static void print(const candidate *found, int w, int h) {
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
    static candidate found[CELLS * CLASSES];
    candidate *end = found;
    level levels[LEVELS];
    int w, h, kept = 0;
    if (scanf("P6 %d %d 255", &w, &h) != 2 || w < 1 || h < 1 || w > SIDE || h > SIDE) return 2;
    if (getchar() == EOF || fread(rgb, 3, (size_t)(w * h), stdin) != (size_t)(w * h)) return 2;
    letterbox(rgb, w, h, input);
    run_network(input, levels);
    for (int i = 0; i < LEVELS; i++) end = decode(&levels[i], strides[i], end);
    for (candidate *c = found; c < end; c++) c->number = (int)(c - found);
    qsort(found, (size_t)(end - found), sizeof *found, best_first);
    if (end > found + CANDIDATES) end = found + CANDIDATES;
    for (candidate *c = found; c < end && kept < MOST; c++) {
        int stands = 1;
        for (int i = 0; i < kept; i++) {
            stands &= found[i].class_id != c->class_id || !overlap(found[i].box, c->box);
        }
        if (!stands) continue;
        print(c, w, h);
        found[kept++] = *c;
    }
    return 0;
}
