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

bool nanodet_candidates_want(const nanodet_decoding *heap, const nanodet_candidate *item) {
    const nanodet_candidate *items = heap->items;
    return heap->count < heap->selection->max_candidates || worse(&items[0], item);
}

void nanodet_candidates_add(nanodet_decoding *heap, nanodet_candidate item) {
    nanodet_candidate *items = heap->items;
    if (heap->count == heap->selection->max_candidates) {
        sift_down(items, heap->count, item);
        return;
    }
    uint32_t hole = heap->count++;
    while (hole > 0 && worse(&item, &items[(hole - 1) / 2])) {
        items[hole] = items[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    items[hole] = item;
}

void nanodet_candidates_sort(nanodet_decoding *heap) {
    nanodet_candidate *items = heap->items;
    for (uint32_t end = heap->count; end > 1; end--) {
        nanodet_candidate last = items[end - 1];
        items[end - 1] = items[0];
        sift_down(items, end - 1, last);
    }
}
