from __future__ import annotations

import pytest

from firmware.board import Board, names


def test_both_evaluation_kits() -> None:
    assert names() == ["evkbimxrt1050", "evkbmimxrt1170"]


@pytest.mark.parametrize(
    ("board", "arena_bytes", "memory", "reason"),
    [
        ("evkbmimxrt1170", 427_000, "OCRAM", "a split stem's arena"),
        ("evkbmimxrt1170", 670_000, "SDRAM", "a whole network's does not fit a bank"),
        ("evkbmimxrt1170", 1 << 30, "SDRAM", "nowhere; whoever asks must check"),
        ("evkbimxrt1050", 427_000, "SDRAM", "the cores' memory is too small"),
    ],
)
def test_place_of_the_arena(board: str, arena_bytes: int, memory: str, reason: str) -> None:
    assert Board.read(board).place(arena_bytes).name == memory, reason
