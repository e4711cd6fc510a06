"""The most accurate network that a Linux board runs in time: an i.MX 93 on its NPU by Vela's
estimate, an i.MX 8M Plus on its CPU by instructions that were counted in emulation.

The choices and their figures are measured by `python -m benchmarks.linux_choices`; their AP is that
of `python -m benchmarks.pareto`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data import names
from pipeline import choices as choosing
from runtime.benchmark.board import load
from runtime.benchmark.foretell import foretell
from runtime.benchmark.instructions import PUBLISHED_KERNELS
from runtime.errors import KitError

CHOICES = names.ROOT / "models" / "linux_choices.csv"
_PRECISIONS = names.ROOT / "models" / "mcu_choices.csv"
# By board, what is built for it.
TARGETS = {"imx93": "ethos-u65", "imx8mp": "linux"}
_BASIS = {
    "imx93": "milliseconds are Vela's estimate",
    "imx8mp": "milliseconds are foretold, by instructions counted in emulation",
}
_MEANINGLESS = ("budget_arena", "budget_flash", "preset")
_Row = tuple[str, str, str]


@dataclass(frozen=True)
class LinuxChoice:
    """One way to build, square. ap: on COCO's val500, of the int8 file where `quantized`, else of
    the network in float. latency_ms: by board; on the NPU of the i.MX 93 and on one thread of the
    i.MX 8M Plus. sram_bytes: of the NPU's own memory."""

    model: str
    size: int
    strides: str
    ap: float
    quantized: bool
    latency_ms: dict[str, float]
    sram_bytes: int

    def on(self, board: str) -> str:
        """What it is and what it gives there."""
        ap = f"AP {self.ap:.2f}{'' if self.quantized else ' in float'}"
        takes = f"{self.latency_ms[board]:.2f} ms on the NPU, SRAM {self.sram_bytes:,} bytes"
        if board != "imx93":
            takes = f"about {self.latency_ms[board]:.0f} ms on one thread of the CPU"
        return f"{self.model}, {self.size}x{self.size}, strides {self.strides}: {ap}, {takes}"


def read_linux_choices(path: Path = CHOICES) -> list[LinuxChoice]:
    """The choices that were measured, with what is known of their AP."""
    precisions = {_key(row): row for row in _rows(_PRECISIONS)}
    return [_choice(row, precisions[_key(row)]) for row in _rows(path)]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _key(row: dict[str, str]) -> _Row:
    return row["model"], row["input_size"], row["strides"]


def _choice(row: dict[str, str], precision: dict[str, str]) -> LinuxChoice:
    instructions = int(row["a53_instructions"])
    foretold = foretell(row["model"], load("imx8mp"), PUBLISHED_KERNELS, instructions)
    latency_ms = {"imx93": float(row["vela_ms"]), "imx8mp": foretold.latency_ms[1]}
    ap = float(precision["ap"] or precision["float_ap"])
    model, size, strides = _key(row)
    sram_bytes = int(row["sram_bytes"])
    return LinuxChoice(model, int(size), strides, ap, bool(precision["ap"]), latency_ms, sram_bytes)


def cheapest_first(choices: Sequence[LinuxChoice], board: str) -> list[LinuxChoice]:
    """By latency on a board; of those that take as long, the most accurate first."""
    return sorted(choices, key=lambda choice: (choice.latency_ms[board], -choice.ap))


def best(choices: Sequence[LinuxChoice], limit_ms: float, board: str) -> LinuxChoice:
    """The most accurate choice within the limit. Raises `KitError` for none."""
    fitting = [choice for choice in choices if choice.latency_ms[board] <= limit_ms]
    if not fitting:
        least = min(choice.latency_ms[board] for choice in choices)
        raise KitError(f"--budget-ms {limit_ms:g}: the fastest network that was measured takes "
                       f"{least:.2f} ms on {board}")  # fmt: skip
    return max(fitting, key=lambda choice: choice.ap)


def apply_budget(options: argparse.Namespace) -> list[str]:
    """Let `--budget-ms` choose model, size and strides for a Linux board, as
    `budget.apply_budget` does for microcontrollers. Raises `KitError` for other budgets."""
    board = options.board
    given = [name for name in _MEANINGLESS if getattr(options, name) is not None]
    if given:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise KitError(f"{words}: for microcontrollers; an {load(board).title} has memory for "
                       "every network, give --budget-ms alone")  # fmt: skip
    ordered = cheapest_first(read_linux_choices(), board)
    choice = best(ordered, options.budget_ms, board)
    options.variant, options.input_size = choice.model, (choice.size, choice.size)
    options.strides = names.parse_strides(choice.strides)
    others = choosing.beside(ordered, choice, lambda c: c.latency_ms[board])
    lines = choosing.lines(choice, others, lambda c: c.on(board))
    return [*lines, f"         {_BASIS[board]}; AP in float is that of the network before int8"]
