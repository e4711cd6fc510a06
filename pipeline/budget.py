"""The most accurate network that fits a microcontroller's memory and time; `linux_budget` is for
Linux boards.

The choices and their figures are measured by `python -m benchmarks.pareto`.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.cortex_m7 import ns_per_instruction
from data import locate, names
from firmware.engine import WEIGHTS
from firmware.engine.weights import beside_program
from pipeline import choices as choosing
from pipeline import linux_budget
from runtime.benchmark.board import Board, load, microcontrollers
from runtime.engines.arena import reserved_bytes
from runtime.errors import KitError
from runtime.spec import ModelSpec

CHOICES = names.ROOT / "models" / "mcu_choices.csv"
BOARDS = microcontrollers()
# Instructions of an inference that a preset allows on the kit's own engine.
PRESETS = {"fast": 80_000_000, "balanced": 160_000_000, "accurate": 480_000_000}
_TIMES = {"c": 1.0, "tflm": 3.5}  # TensorFlow Lite Micro takes so many times the instructions.
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
_BUDGETS = ("budget_arena", "budget_flash", "budget_ms", "preset")


@dataclass(frozen=True)
class Takes:
    """What a choice takes on an engine. arena_bytes: that the firmware reserves. flash_bytes: of
    the file with `tflm`, of weights, tables, plan and code with `c`; 0 where that was not measured.
    instructions: of an inference."""

    arena_bytes: int
    flash_bytes: int
    instructions: int

    def latency_ms(self, board: str) -> float:
        """An estimate. Raises `KitError` where there is no basis for one."""
        found = ns_per_instruction(load(board))
        if found is None:
            raise KitError(
                f"--board {board}: nobody published a latency of it; use --budget-arena or --preset"
            )
        return self.instructions * found / 1e6

    def time_on(self, board: str) -> str:
        """An estimate in words: in milliseconds where there is a basis."""
        if ns_per_instruction(load(board)) is None:
            return f"{self.instructions / 1e6:.0f} M instructions on a Cortex-M7"
        return f"about {self.latency_ms(board):.0f} ms on {board}"


@dataclass(frozen=True)
class Choice:
    """One way to build. canvas: width and height of the input. ap: int8 on COCO, see the README.
    takes: by engine, of those on which it was measured. weights: how engine `c` keeps them."""

    model: str
    canvas: tuple[int, int]
    strides: str
    ap: float
    takes: dict[str, Takes]
    weights: str = WEIGHTS[0]

    @property
    def parsed_strides(self) -> tuple[int, ...]:
        """As a spec has them."""
        return names.parse_strides(self.strides)

    def on(self, board: str, engine: str) -> str:
        """What it is and what it gives there."""
        takes = self.takes[engine]
        width, height = self.canvas
        where = _memory(board, engine).fits(takes.arena_bytes, takes.flash_bytes).where
        form = "" if self.weights == WEIGHTS[0] else f" with --weights {self.weights}"
        flash = f"flash {takes.flash_bytes:,}{form}, " if takes.flash_bytes else ""
        return (
            f"{self.model}, {width}x{height}, strides {self.strides}: AP {self.ap:.2f}, arena "
            f"{takes.arena_bytes:,} bytes in {where}, {flash}{takes.time_on(board)}"
        )


@dataclass(frozen=True)
class Budget:
    """The most that may be taken, see `Takes`; None for no limit. latency_ms: on the board."""

    arena_bytes: int | None = None
    flash_bytes: int | None = None
    latency_ms: float | None = None
    instructions: float | None = None

    def allows(self, takes: Takes, board: str) -> bool:
        """Raises `KitError` for a limit in milliseconds on a board without a basis for them."""
        fields = ("arena_bytes", "flash_bytes", "instructions")
        limits = ((getattr(self, name), getattr(takes, name)) for name in fields)
        return all(limit is None or taken <= limit for limit, taken in limits) and (
            self.latency_ms is None or takes.latency_ms(board) <= self.latency_ms
        )


def read_choices(path: Path = CHOICES) -> list[Choice]:
    """The choices whose int8 file was evaluated; each stands once for each form of weights that was
    measured."""
    with path.open(newline="", encoding="utf-8") as file:
        return [form for row in csv.DictReader(file) if row["ap"] for form in _forms(row)]


def _forms(row: dict[str, str]) -> list[Choice]:
    reserved = reserved_bytes(int(row["arena_bytes"]), int(row["leaky_relus"]))
    flash = int(row["flash_bytes"] or 0)
    size = int(row["input_size"])
    named = row["model"], (size, size), row["strides"], float(row["ap"])
    on_tflm = {"tflm": Takes(reserved, flash, int(row["instructions"]))}
    found = [Choice(*named, on_tflm | _on_engine(row, "engine"))]
    for weights in WEIGHTS[1:]:
        if takes := _on_engine(row, f"engine_{weights}"):
            found.append(Choice(*named, takes, weights))
    return found


def _on_engine(row: dict[str, str], prefix: str) -> dict[str, Takes]:
    """Empty where it was not measured."""
    own = [row[f"{prefix}_{field.name}"] for field in dataclasses.fields(Takes)]
    return {"c": Takes(*map(int, own))} if all(own) else {}


def seen_by(camera: tuple[int, int], choice: Choice) -> Choice:
    """The choice on the canvas of a camera's shape, where its network letterboxes.

    Instructions go by pixels; arena and flash are those of the square, the most that it takes. AP
    is the square's: pictures of the camera's shape lose nothing.
    """
    if not locate.model_spec(choice.model).input.keep_ratio:
        return choice
    canvas = names.camera_canvas(camera, max(choice.canvas))
    share = canvas[0] * canvas[1] / (choice.canvas[0] * choice.canvas[1])
    takes = {
        engine: dataclasses.replace(one, instructions=round(one.instructions * share))
        for engine, one in choice.takes.items()
    }
    return dataclasses.replace(choice, canvas=canvas, takes=takes)


def _memory(board: str, engine: str) -> Board:
    """Engine `c` may take all of the flash that the program around it leaves."""
    return beside_program(load(board)) if engine == "c" else load(board)


def on_board(choices: Sequence[Choice], board: str, engine: str) -> list[Choice]:
    """Those that the board's memory holds, the cheapest first. Raises `KitError` where nothing was
    measured on the engine."""
    known = [choice for choice in choices if engine in choice.takes]
    if not known:
        raise KitError(f"--engine {engine}: nothing was measured on it; use --engine tflm")
    memory = _memory(board, engine)
    fitting = [
        choice
        for choice in known
        if memory.fits(choice.takes[engine].arena_bytes, choice.takes[engine].flash_bytes).memory
    ]
    return sorted(fitting, key=lambda choice: (choice.takes[engine].instructions, -choice.ap))


def best(choices: Sequence[Choice], budget: Budget, board: str, engine: str) -> Choice:
    """The most accurate choice within the budget, and the board. Raises `KitError` for none."""
    fitting = [
        choice
        for choice in on_board(choices, board, engine)
        if budget.allows(choice.takes[engine], board)
    ]
    if not fitting:
        takes = [choice.takes[engine] for choice in choices if engine in choice.takes]
        arena, flash = (
            min(getattr(one, n) for one in takes) for n in ("arena_bytes", "flash_bytes")
        )
        fastest = min(takes, key=lambda one: one.instructions).time_on(board)
        raise KitError(f"--budget: no model fits {board}; the smallest take {arena:,} bytes of "
                       f"arena, {flash:,} of flash and {fastest}")  # fmt: skip
    return max(fitting, key=lambda choice: choice.ap)


def neighbours(
    choices: Sequence[Choice], chosen: Choice, board: str, engine: str
) -> tuple[Choice | None, Choice | None]:
    """The cheapest choice on the board that finds more, and the most accurate of those that find
    less in fewer instructions; None where there is none."""
    fitting = on_board(choices, board, engine)
    return choosing.beside(fitting, chosen, lambda choice: choice.takes[engine].instructions)


def apply_budget(options: argparse.Namespace) -> list[str]:
    """Let the budget choose model, size and strides, if one is given.

    Returns what it chose, and what the next better and the next cheaper would give, in words.
    """
    if all(getattr(options, name) is None for name in _BUDGETS):
        return []
    board, engine = options.board, options.engine
    target = linux_budget.TARGETS.get(board, "mcu")
    if options.target != target or choosing.already_chosen(options):
        raise KitError("--budget-arena, --budget-flash, --budget-ms and --preset choose model, "
                       f"size and strides, for --board {board} with --target {target}; leave out "
                       "--model, --config, --weights, --input-size and --strides, or name the "
                       f"--board ({', '.join(linux_budget.TARGETS)} for Linux)")  # fmt: skip
    if board in linux_budget.TARGETS:
        return linux_budget.apply_budget(options)
    choices = _candidates(options.camera)
    limit = PRESETS[options.preset] * _TIMES[engine] if options.preset else None
    budget = Budget(options.budget_arena, options.budget_flash, options.budget_ms, limit)
    choice = best(choices, budget, board, engine)
    options.variant = choice.model
    options.input_size = choice.canvas
    options.strides = choice.parsed_strides
    others = neighbours(choices, choice, board, engine)
    lines = choosing.lines(choice, others, lambda c: c.on(board, engine), f" (--engine {engine})")
    notes = []
    if engine == "c" and ns_per_instruction(load(board)):
        notes.append("milliseconds are at TensorFlow Lite Micro's time per instruction")
    if choice.canvas[0] != choice.canvas[1]:
        notes.append("instructions are those of the square canvas by pixels, its arena is the most")
    return [*lines, *([f"         {'; '.join(notes)}"] if notes else [])]


def _candidates(camera: tuple[int, int] | None) -> list[Choice]:
    choices = read_choices()
    return choices if camera is None else [seen_by(camera, choice) for choice in choices]


def instead(spec: ModelSpec, options: argparse.Namespace) -> list[str]:
    """What `--preset balanced` would build for the board, in words; nothing where the options
    choose what was not measured, or what finds as much."""
    other_weights = (options.config, options.weights, options.classes, options.activation)
    if options.target != "mcu" or any(option is not None for option in other_weights):
        return []
    board, engine, choices = options.board, options.engine, _candidates(options.camera)
    model, canvas = options.variant or names.DEFAULT_MODEL, (spec.input.width, spec.input.height)
    this = model, canvas, spec.graph.strides
    ap = next((c.ap for c in choices if this == (c.model, c.canvas, c.parsed_strides)), math.inf)
    budget = Budget(instructions=PRESETS["balanced"] * _TIMES[engine])
    with contextlib.suppress(KitError):  # Nothing fits the board.
        other = best(choices, budget, board, engine)
        if other.ap > ap:
            return [f"instead  --preset balanced: {other.on(board, engine)}; this has AP {ap:.2f}"]
    return []


def camera_note(camera: tuple[int, int], spec: ModelSpec) -> str:
    """How a camera's pictures fill the network's canvas, in words."""
    size = spec.input
    canvas = f"its canvas of {size.width}x{size.height}"
    if not size.keep_ratio:
        return (
            f"{spec.name} stretches every picture to {canvas}; the camera's shape changes nothing"
        )
    scale = min(size.width / camera[0], size.height / camera[1])
    filled = camera[0] * camera[1] * scale**2 / (size.width * size.height)
    return f"pictures of {camera[0]}x{camera[1]} fill {filled:.0%} of {canvas}, the rest is border"


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
