"""How convolutions go about a row, and which way a model of the core finds faster."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import turn_cycles
from firmware.engine.turns import CYCLES, FORMS, fewest_cycles, modelled_cycles, turns


@pytest.mark.parametrize(
    ("pixels", "form", "wanted", "reason"),
    [
        (6, 3, [3, 3], "whole turns"),
        (7, 3, [3, 2, 2], "no single pixel is left"),
        (5, 3, [3, 2], "the last one is shorter"),
        (6, 2, [2, 2, 2], "whole turns"),
        (7, 2, [2, 2, 3], "no single pixel is left"),
        (3, 2, [3], "all at once"),
        (1, 3, [2], "the pixel twice"),
    ],
)
def test_turns(pixels: int, form: int, wanted: list[int], reason: str) -> None:
    assert turns(pixels, form) == wanted, reason


def test_the_form_with_the_fewest_cycles() -> None:
    """Of many inputs the steps decide: 10 cycles for 4 inputs of 2 pixels, 8 for 2 of 3."""
    for inputs, outputs, pixels in ((24, 24, 40), (28, 24, 160), (96, 96, 20), (12, 6, 5)):
        cycles = [modelled_cycles(inputs, outputs, pixels, form) for form in FORMS]
        assert cycles[FORMS.index(fewest_cycles(inputs, outputs, pixels))] == min(cycles)
    assert fewest_cycles(8, 24, 60) == 3 and fewest_cycles(464, 96, 60) == 2
    slope = modelled_cycles(96, 2, 2, 2) - modelled_cycles(92, 2, 2, 2)
    assert slope == pytest.approx(10 + 8), "a step, and four inputs of two pixels that are widened"


@pytest.mark.skipif(shutil.which("llvm-mca") is None, reason="apt install llvm")
def test_the_table_is_of_today() -> None:
    """As this machine's LLVM has it; another version may have learned something."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed (apt install gcc-arm-none-eabi)")
    found, known = turn_cycles.table().splitlines(), CYCLES.read_text().splitlines()
    for made, kept in zip(found[2:], known[2:], strict=True):
        values = [[float(v) for v in line.split(",")] for line in (made, kept)]
        assert values[0] == pytest.approx(values[1], rel=0.25)
    assert found[0] != known[0] or found == known
