"""How many pixels a convolution takes at a time, as `nanodet_conv.h` has it."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

CYCLES = Path(__file__).with_name("turn_cycles.csv")
FORMS = 2, 3  # Pixels of most turns: the same numbers, at another speed.


def turns(pixels: int, form: int) -> list[int]:
    """Pixels of each turn of a row; of a single pixel, both of a turn are the same one."""
    found, left = [], pixels
    while left > 0:
        found.append(3 if left == 3 or (form == 3 and left > 4) else 2)
        left -= found[-1]
    return found


@lru_cache
def _known() -> dict[int, dict[str, float]]:
    lines = CYCLES.read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {int(row["pixels"]): {name: float(v) for name, v in row.items()} for row in rows}


def modelled_cycles(inputs: int, outputs: int, pixels: int, form: int) -> float:
    """Of the inner loops for a row of so many pixels, by `turn_cycles.csv`."""
    spent = 0.0
    for turn in turns(pixels, form):
        of = _known()[turn]
        steps = inputs / of["step_inputs"] - 1  # The first is counted with its pair of outputs.
        spent += of["entry"] + inputs / 4 * of["widen"]
        spent += outputs / 2 * (of["pair"] + steps * of["step"])
    return spent


def fewest_cycles(inputs: int, outputs: int, pixels: int) -> int:
    """The form that the model finds faster."""
    return min(FORMS, key=lambda form: modelled_cycles(inputs, outputs, pixels, form))
