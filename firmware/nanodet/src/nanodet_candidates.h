/* The best candidates found so far, in a heap with the worst on top. */
#ifndef NANODET_CANDIDATES_H
#define NANODET_CANDIDATES_H

#include "nanodet/types.h"

/* place: index of the level in the top byte, upright cell below. */
typedef struct {
    uint32_t place;
    uint16_t score;
    uint16_t class_id;
} nanodet_candidate;

typedef struct {
    nanodet_candidate *items;
    uint32_t count;
    uint32_t capacity; /* At least 1. */
} nanodet_candidates;

/* Add one, or drop the worst. */
void nanodet_candidates_add(nanodet_candidates *heap, nanodet_candidate item);

/* Turn the heap into a list, best first: score falling, then place, then class. */
void nanodet_candidates_sort(nanodet_candidates *heap);

#endif
