"""How much of what the firmware needs, and where it goes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from firmware.describe import Description, StemDescription, describe, describe_stem
from firmware.engine.emit import Emitted, emit_measured
from firmware.engine.measured import Measured
from firmware.engine.plan import Plan
from firmware.operators import registrations
from firmware.spare import Spare, place
from quantize.split import Stem
from runtime import integer
from runtime.benchmark.board import Board, Firmware, Memory
from runtime.engines.arena import MARGIN_PERCENT, TABLE_BYTES, arena_bytes, reserved_bytes
from runtime.errors import KitError
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph

CANDIDATE_BYTES, TAP_BYTES = 16, 8
_POINTER_BYTES, _SETTINGS_BYTES = 4, 256  # The latter of what has no names and no tables.
CODE_BYTES = 32 * 1024  # The engine's code, with pre- and post-processing, is smaller.


@dataclass(frozen=True)
class Reservation:
    """What is set aside for the arena.

    measured: by TensorFlow Lite Micro on this machine, at most 4 % above a Cortex-M7's. tables:
    what the kernel of LEAKY_RELU takes besides. bytes: with the margin.
    """

    measured: int
    tables: int
    bytes: int
    margin_percent: int = MARGIN_PERCENT


@dataclass(frozen=True)
class Scratch:
    """bytes: of all. stem: the part at the front that the stem uses; 0 without one."""

    bytes: int
    stem: int


@dataclass(frozen=True)
class Basis:
    """What becomes C whatever the engine is. sha256: of the whole file."""

    name: str
    sha256: str
    class_names: tuple[str, ...]
    about: Description
    board: Board
    firmware: Firmware
    selection: Selection
    resize: str


@dataclass(frozen=True)
class Layout(Basis):
    """Everything that becomes C for TensorFlow Lite Micro. content: of the file that runs on the
    board."""

    content: bytes
    output_names: tuple[str, ...]
    stem: StemDescription | None
    operators: list[tuple[str, str, str]]
    arena: Reservation
    memory: Memory
    scratch: Scratch


@dataclass(frozen=True)
class EngineLayout(Basis):
    """Everything that becomes C for the kit's own engine. network: the plan as C. flash_bytes:
    weights, plan and tables. spare: the arena, and what lies in it beside the network. measured:
    what chose the convolutions' forms; None: the model of their cycles."""

    network: Emitted
    measured: Measured | None
    plan: Plan
    spare: Spare
    flash_bytes: int
    memory: Memory


def basis(file: TfliteFile, board: Board, selection: Selection, resize: str) -> Basis:
    """Raises `KitError` for a model that the library has no room for."""
    if board.firmware is None:
        raise KitError(f"{board.title}: no firmware is known to run there")
    about = describe(file.spec, file.outputs, selection.score_threshold)
    names = tuple(file.spec.classes)
    chosen = board, board.firmware, selection, resize
    return Basis(file.spec.name, file.sha256, names, about, *chosen)


def lay_out_engine(
    basis: Basis, plan: Plan, path: str, measured: Measured | None = None
) -> EngineLayout:
    """Raises `KitError` where the model does not fit the board."""
    about = basis.about
    columns = TAP_BYTES * about.width
    spare = place(plan, columns, CANDIDATE_BYTES * integer.MAX_CANDIDATES)
    forms = measured.forms if measured else None
    emitted = emit_measured(plan, "nanodet_generated_network", forms)
    tables = sum(level.score.nbytes + level.weight.nbytes for level in about.levels)
    names = sum(len(name.encode()) + 1 + _POINTER_BYTES for name in basis.class_names)
    settings = tables + names + _SETTINGS_BYTES
    flash_bytes = emitted.weight_bytes + emitted.plan_bytes + settings
    needed = flash_bytes + CODE_BYTES
    memory = _place(basis.board, spare.arena_bytes, needed, path)
    return EngineLayout(**vars(basis), network=emitted, measured=measured, plan=plan, spare=spare,
                        flash_bytes=flash_bytes, memory=memory)  # fmt: skip


def lay_out(basis: Basis, file: TfliteFile, content: bytes, stem: Stem | None) -> Layout:
    """content: the whole file, or what is left of it without `stem`.

    Raises `KitError` where the model does not fit the board.
    """
    described = None if stem is None else describe_stem(stem, file.path)
    counts = Graph.parse(content, file.path).counts
    arena = _arena(content, counts["LEAKY_RELU"])
    memory = _place(basis.board, arena.bytes, len(content), file.path)
    operators = registrations(counts, file.path)
    scratch = _scratch(basis.about, described)
    names = tuple(file.spec.output_names)
    return Layout(**vars(basis), content=content, output_names=names, stem=described,
                  operators=operators, arena=arena, memory=memory, scratch=scratch)  # fmt: skip


def _place(board: Board, arena_bytes: int, file_bytes: int, path: str) -> Memory:
    """The memory for the arena. Raises `KitError` where that or the file fits nowhere."""
    fit = board.fits(arena_bytes, file_bytes)
    if not fit.in_flash:
        raise KitError(
            f"{path}: its {file_bytes:,} bytes do not fit the flash of {board.title}; choose a "
            "smaller --model"
        )
    if fit.memory is None:
        raise KitError(
            f"{path}: its arena of {arena_bytes:,} bytes fits no memory of {board.title}; choose "
            "fewer strides or a smaller --input-size"
        )
    return fit.memory


def _arena(content: bytes, tables: int) -> Reservation:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(content)
        measured = arena_bytes(path)
    return Reservation(measured, tables * TABLE_BYTES, reserved_bytes(measured, tables))


def _scratch(about: Description, stem: StemDescription | None) -> Scratch:
    taps = TAP_BYTES * about.width
    front = 0 if stem is None else stem.scratch_bytes
    return Scratch(max(CANDIDATE_BYTES * integer.MAX_CANDIDATES, front + taps), front)
