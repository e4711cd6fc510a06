"""The most accurate model that fits a microcontroller's memory and time.

The choices and their figures are measured by `python -m benchmarks.pareto`.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from analysis.cortex_m7 import ns_per_instruction
from data import names
from runtime.benchmark.board import load, microcontrollers
from runtime.engines.arena import reserved_bytes
from runtime.errors import KitError

CHOICES = names.ROOT / "models" / "mcu_choices.csv"
BOARDS = [name for board in microcontrollers() for name in board.names]
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
_CHOOSING = ("variant", "config", "input_size", "strides")


@dataclass(frozen=True)
class Choice:
    """One way to build. ap: int8 on COCO, see the README; input_size: width and height.

    arena_bytes: as `runtime.engines.arena` measures it. leaky_relus: operators LEAKY_RELU.
    """

    model: str
    input_size: int
    strides: str
    ap: float
    arena_bytes: int
    leaky_relus: int
    instructions: int

    @property
    def reserved_bytes(self) -> int:
        """Arena that the firmware reserves."""
        return reserved_bytes(self.arena_bytes, self.leaky_relus)

    def latency_ms(self, board: str) -> float:
        """An estimate."""
        return self.instructions * _ns_per_instruction(board) / 1e6


@lru_cache
def _ns_per_instruction(board: str) -> float:
    found = ns_per_instruction(load(board))
    if found is None:
        raise KitError(f"--board {board}: nobody published a latency of it")
    return found


def read_choices(path: Path = CHOICES) -> list[Choice]:
    """The measured choices."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Choice(
                row["model"],
                int(row["input_size"]),
                row["strides"],
                float(row["ap"]),
                int(row["arena_bytes"]),
                int(row["leaky_relus"]),
                int(row["instructions"]),
            )
            for row in csv.DictReader(file)
        ]


def best(
    choices: Sequence[Choice], arena_bytes: int | None, latency_ms: float | None, board: str
) -> Choice:
    """The most accurate choice within the budget, and the board. Raises `KitError` where none is.

    arena_bytes: that the firmware may reserve.
    """
    known = load(board)
    fitting = [
        choice
        for choice in choices
        if known.fits(choice.reserved_bytes).memory
        and (arena_bytes is None or choice.reserved_bytes <= arena_bytes)
        and (latency_ms is None or choice.latency_ms(board) <= latency_ms)
    ]
    if not fitting:
        arena = min(choice.reserved_bytes for choice in choices)
        latency = min(choice.latency_ms(board) for choice in choices)
        raise KitError(
            f"--budget: no model fits; the smallest take {arena:,} bytes and {latency:.0f} ms"
        )
    return max(fitting, key=lambda choice: (choice.ap, -choice.instructions))


def apply_budget(options: argparse.Namespace) -> None:
    """Let the budget choose model, size and strides, if one is given; says what it chose."""
    if options.budget_arena is None and options.budget_ms is None:
        return
    if options.target != "mcu" or any(getattr(options, name) is not None for name in _CHOOSING):
        raise KitError("--budget-arena and --budget-ms choose model, size and strides for --target "
                       "mcu; leave out --model, --config, --input-size and --strides")  # fmt: skip
    choice = best(read_choices(), options.budget_arena, options.budget_ms, options.board)
    options.variant = choice.model
    options.input_size = (choice.input_size, choice.input_size)
    options.strides = names.parse_strides(choice.strides)
    print(
        f"chosen: {choice.model}, {choice.input_size}x{choice.input_size}, strides "
        f"{choice.strides}: AP {choice.ap:.2f}, arena {choice.reserved_bytes:,} bytes in "
        f"{load(options.board).fits(choice.reserved_bytes).where}, about "
        f"{choice.latency_ms(options.board):.0f} ms on {options.board}"
    )


def parse_bytes(text: str) -> int:
    """Command-line type: `512K`, `1.5M` or `600000` -> bytes."""
    unit = text[-1:].upper() if text[-1:].isalpha() else ""
    try:
        count = float(text[: len(text) - len(unit)]) * _UNITS[unit]
    except (ValueError, KeyError):
        count = 0.0
    if not 1 <= count < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected e.g. 512K or 1.5M")
    return int(count)
