/* Where code, weights and arena go. Each macro can be given with -D; board.h has a board's defaults.
 * Without either, code and weights stay where constants are, in flash, and an arena of your own
 * goes where data does. */
#ifndef NANODET_PLACEMENT_H
#define NANODET_PLACEMENT_H

#include "nanodet/board.h"

#define NANODET_IN_SECTION_NAMED(name) __attribute__((section(#name)))
#define NANODET_IN_SECTION(name) NANODET_IN_SECTION_NAMED(name)

/* NANODET_CODE_SECTION: name of a section for the kernels, in C and in assembly. Startup code copies
 * it to its memory. NANODET_CODE_IN_FLASH: not even the board's default. */
#if defined(NANODET_CODE_SECTION)
#define NANODET_CODE NANODET_IN_SECTION(NANODET_CODE_SECTION)
#else
#define NANODET_CODE
#endif

/* NANODET_WEIGHTS_SECTION: of the weights. */
#if defined(NANODET_WEIGHTS_SECTION)
#define NANODET_WEIGHTS NANODET_IN_SECTION(NANODET_WEIGHTS_SECTION)
#else
#define NANODET_WEIGHTS
#endif

/* NANODET_ARENA_SECTION: of the arena that the application sets aside. */
#if defined(NANODET_ARENA_SECTION)
#define NANODET_ARENA NANODET_IN_SECTION(NANODET_ARENA_SECTION)
#else
#define NANODET_ARENA
#endif

#endif
