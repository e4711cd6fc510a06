"""Which form of weights a board gets."""

from __future__ import annotations

import pytest

from firmware.engine.weights import PROGRAM_BYTES, fit, place
from runtime.benchmark.board import load

MIB = 1 << 20
FREE_4, FREE_2 = 4 * MIB - PROGRAM_BYTES, 2 * MIB - PROGRAM_BYTES


@pytest.mark.parametrize(
    ("board", "int16", "int8", "where", "reason"),
    [
        ("imxrt1064", FREE_4, 0, "DTCM", "the flash is just full, with the program"),
        ("imxrt1064", FREE_4 + 1, 2 * MIB, "OCRAM with int8 weights", "a byte more"),
        ("imxrt1064", 5 * MIB, FREE_4 + 1, "nowhere", "neither fits"),
        ("imxrt1170", 5 * MIB, 3 * MIB, "DTCM", "16 MiB of flash"),
        ("mcxn947", MIB, MIB, "SRAM", "more than the linker script leaves, less than there is"),
        ("mcxn947", 3 * MIB, MIB, "SRAM with int8 weights", "2 MiB of flash"),
        ("mcxn947", 2_083_339, 1_177_000, "SRAM with int8 weights", "m at 160: the program counts"),
        ("mcxn947", FREE_2, MIB, "SRAM", "just full"),
    ],
)
def test_the_first_that_fits(board: str, int16: int, int8: int, where: str, reason: str) -> None:
    sizes = {"int16": (120_000, int16), "int8": (150_000, int8)}
    assert place(load(board), sizes.__getitem__) == where, reason


def test_what_is_asked_for_is_not_replaced() -> None:
    asked: list[str] = []

    def sizes(form: str) -> tuple[int, int]:
        asked.append(form)
        return 4, 3 * MIB

    weights, found = fit(load("mcxn947"), sizes, ("int16",))
    assert weights == "int16" and not found.in_flash and asked == ["int16"]
