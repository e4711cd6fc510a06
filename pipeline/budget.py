"""The most accurate model that fits a microcontroller's memory and time.

The choices and their figures are measured by `python -m benchmarks.pareto`.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.cortex_m7 import ns_per_instruction
from data import names
from firmware.engine import DEFAULT
from runtime.benchmark.board import load, microcontrollers
from runtime.engines.arena import reserved_bytes
from runtime.errors import KitError

CHOICES = names.ROOT / "models" / "mcu_choices.csv"
BOARDS = [name for board in microcontrollers() for name in board.names]
ENGINE_FIELDS = ("engine_arena_bytes", "engine_flash_bytes", "engine_instructions")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
_CHOOSING = ("variant", "config", "input_size", "strides")


@dataclass(frozen=True)
class Takes:
    """What a choice takes on an engine. arena_bytes: that the firmware reserves. flash_bytes: 0
    where that was not measured. instructions: of an inference."""

    arena_bytes: int
    flash_bytes: int
    instructions: int

    def latency_ms(self, board: str) -> float:
        """An estimate. Raises `KitError` where there is no basis for one."""
        found = ns_per_instruction(load(board))
        if found is None:
            raise KitError(f"--board {board}: nobody published a latency of it; use --budget-arena")
        return self.instructions * found / 1e6

    def time_on(self, board: str) -> str:
        """An estimate in words: in milliseconds where there is a basis."""
        if ns_per_instruction(load(board)) is None:
            return f"{self.instructions / 1e6:.0f} M instructions on a Cortex-M7"
        return f"about {self.latency_ms(board):.0f} ms on {board}"


@dataclass(frozen=True)
class Choice:
    """One way to build. ap: int8 on COCO, see the README; input_size: width and height. takes: by
    engine, of those on which it was measured."""

    model: str
    input_size: int
    strides: str
    ap: float
    takes: dict[str, Takes]


def read_choices(path: Path = CHOICES) -> list[Choice]:
    """The measured choices."""
    with path.open(newline="", encoding="utf-8") as file:
        return [_choice(row) for row in csv.DictReader(file)]


def _choice(row: dict[str, str]) -> Choice:
    reserved = reserved_bytes(int(row["arena_bytes"]), int(row["leaky_relus"]))
    takes = {"tflm": Takes(reserved, 0, int(row["instructions"]))}
    if row["engine_arena_bytes"]:
        takes["c"] = Takes(*(int(row[name]) for name in ENGINE_FIELDS))
    return Choice(row["model"], int(row["input_size"]), row["strides"], float(row["ap"]), takes)


def best(
    choices: Sequence[Choice],
    arena_bytes: int | None,
    latency_ms: float | None,
    board: str,
    engine: str = DEFAULT,
) -> Choice:
    """The most accurate choice within the budget, and the board. Raises `KitError` where none is.

    arena_bytes: that the firmware may reserve.
    """
    known = load(board)
    choices = [choice for choice in choices if engine in choice.takes]
    takes = [choice.takes[engine] for choice in choices]
    if not choices:
        raise KitError(f"--engine {engine}: nothing was measured on it; use --engine tflm")
    fitting = [
        choice
        for choice, one in zip(choices, takes, strict=True)
        if known.fits(one.arena_bytes, one.flash_bytes).memory
        and (arena_bytes is None or one.arena_bytes <= arena_bytes)
        and (latency_ms is None or one.latency_ms(board) <= latency_ms)
    ]
    if not fitting:
        arena = min(one.arena_bytes for one in takes)
        fastest = min(takes, key=lambda one: one.instructions).time_on(board)
        raise KitError(f"--budget: no model fits; the smallest take {arena:,} bytes and {fastest}")
    return max(fitting, key=lambda choice: (choice.ap, -choice.takes[engine].instructions))


def apply_budget(options: argparse.Namespace) -> None:
    """Let the budget choose model, size and strides, if one is given; says what it chose."""
    if options.budget_arena is None and options.budget_ms is None:
        return
    if options.target != "mcu" or any(getattr(options, name) is not None for name in _CHOOSING):
        raise KitError("--budget-arena and --budget-ms choose model, size and strides for --target "
                       "mcu; leave out --model, --config, --input-size and --strides")  # fmt: skip
    budget = options.budget_arena, options.budget_ms
    choice = best(read_choices(), *budget, options.board, options.engine)
    options.variant = choice.model
    options.input_size = (choice.input_size, choice.input_size)
    options.strides = names.parse_strides(choice.strides)
    takes = choice.takes[options.engine]
    print(
        f"chosen: {choice.model}, {choice.input_size}x{choice.input_size}, strides "
        f"{choice.strides}: AP {choice.ap:.2f}, arena {takes.arena_bytes:,} bytes in "
        f"{load(options.board).fits(takes.arena_bytes, takes.flash_bytes).where}, "
        f"{takes.time_on(options.board)}"
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
