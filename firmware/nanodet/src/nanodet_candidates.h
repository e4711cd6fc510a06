/* The best candidates found so far, in a heap with the worst on top. */
#ifndef NANODET_CANDIDATES_H
#define NANODET_CANDIDATES_H

#include "nanodet/postprocess.h"

/* place: index of the level in the top byte, upright cell below. box_q4: on the canvas. */
typedef struct {
    uint32_t place;
    uint16_t score;
    uint16_t class_id;
    uint16_t box_q4[4];
} nanodet_candidate;

/* Whether it is one of the best so far. */
bool nanodet_candidates_want(const nanodet_decoding *heap, const nanodet_candidate *item);

/* Add one that is wanted; the worst makes room for it. */
void nanodet_candidates_add(nanodet_decoding *heap, nanodet_candidate item);

/* Turn the heap into a list, best first: score falling, then place, then class. */
void nanodet_candidates_sort(nanodet_decoding *heap);

#endif
