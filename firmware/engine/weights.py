"""Which weights go into a board's flash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from firmware.engine import WEIGHTS
from runtime.benchmark.board import Board, Fit

LONGEST_SIDE = 320  # Pixels of the test image, which takes 150 KB of flash at 4:3 in RGB565.
# Of flash: the largest test image, and what the SDK's startup, drivers and C library are taken for.
PROGRAM_BYTES = 2 * LONGEST_SIDE**2 + 32 * 1024


def beside_program(board: Board) -> Board:
    """All of its flash is free but for the program around the network, and not only what the SDK's
    linker script leaves: a second core has nothing to do."""
    flash = board.flash
    if flash is None:
        return board
    return replace(board, flash=replace(flash, free_bytes=max(flash.bytes - PROGRAM_BYTES, 0)))


def fit(
    board: Board, sizes: Callable[[str], tuple[int, int]], forms: Sequence[str] = WEIGHTS
) -> tuple[str, Fit]:
    """The first form of weights that the board's flash holds, else the last, and where the arena
    goes.

    sizes: bytes of arena and flash with such weights. See `beside_program`.
    """
    board = beside_program(board)
    for weights in forms:
        found = board.fits(*sizes(weights))
        if found.in_flash:
            break
    return weights, found


def place(board: Board, sizes: Callable[[str], tuple[int, int]]) -> str:
    """Where the arena goes, and with which weights if not with the first form; see `fit`."""
    weights, found = fit(board, sizes)
    usual = weights == WEIGHTS[0] or found.memory is None
    return found.where if usual else f"{found.where} with {weights} weights"
