/* Sections of a board, where the macros of placement.h name none. Here there is no board;
 * `./nanodet firmware` writes another file in place of this one. */
#ifndef NANODET_BOARD_H
#define NANODET_BOARD_H
#endif
