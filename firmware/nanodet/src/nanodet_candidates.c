#include "nanodet_candidates.h"

static bool worse(const nanodet_candidate *a, const nanodet_candidate *b) {
    if (a->score != b->score) return a->score < b->score;
    if (a->place != b->place) return a->place > b->place;
    return a->class_id > b->class_id;
}

static void sift_down(nanodet_candidate *items, uint32_t count, nanodet_candidate item) {
    uint32_t hole = 0, child;
    while ((child = 2 * hole + 1) < count) {
        if (child + 1 < count && worse(&items[child + 1], &items[child])) child++;
        if (!worse(&items[child], &item)) break;
        items[hole] = items[child];
        hole = child;
    }
    items[hole] = item;
}

void nanodet_candidates_add(nanodet_candidates *heap, nanodet_candidate item) {
    nanodet_candidate *items = heap->items;
    if (heap->count == heap->capacity) {
        if (worse(&items[0], &item)) sift_down(items, heap->count, item);
        return;
    }
    uint32_t hole = heap->count++;
    while (hole > 0 && worse(&item, &items[(hole - 1) / 2])) {
        items[hole] = items[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    items[hole] = item;
}

void nanodet_candidates_sort(nanodet_candidates *heap) {
    for (uint32_t end = heap->count; end > 1; end--) {
        nanodet_candidate last = heap->items[end - 1];
        heap->items[end - 1] = heap->items[0];
        sift_down(heap->items, end - 1, last);
    }
}
