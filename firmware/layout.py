"""How much of what the firmware needs, and where it goes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from firmware.describe import Description, StemDescription, describe, describe_stem
from firmware.operators import registrations
from quantize.split import Stem
from runtime import integer
from runtime.benchmark.board import Board, Firmware, Memory
from runtime.engines.arena import MARGIN_PERCENT, TABLE_BYTES, arena_bytes, reserved_bytes
from runtime.errors import KitError
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph

CANDIDATE_BYTES, TAP_BYTES = 16, 8


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
class Layout:
    """Everything about a model that becomes C. content: of the file that runs on the board."""

    name: str
    sha256: str
    content: bytes
    class_names: tuple[str, ...]
    output_names: tuple[str, ...]
    about: Description
    stem: StemDescription | None
    operators: list[tuple[str, str, str]]
    arena: Reservation
    memory: Memory
    board: Board
    firmware: Firmware
    scratch: Scratch
    selection: Selection
    resize: str


def lay_out(
    file: TfliteFile,
    content: bytes,
    stem: Stem | None,
    board: Board,
    selection: Selection,
    resize: str,
) -> Layout:
    """content: the whole file, or what is left of it without `stem`.

    Raises `KitError` where the model does not fit the library or the board.
    """
    firmware = board.firmware
    if firmware is None:
        raise KitError(f"{board.title}: no firmware is known to run there")
    about = describe(file.spec, file.outputs, selection.score_threshold)
    described = None if stem is None else describe_stem(stem, file.path)
    counts = Graph.parse(content, file.path).counts
    arena = _arena(content, counts["LEAKY_RELU"])
    memory = _place(board, arena.bytes, len(content), file.path)
    return Layout(
        file.spec.name,
        file.sha256,
        content,
        tuple(file.spec.classes),
        tuple(file.spec.output_names),
        about,
        described,
        registrations(counts, file.path),
        arena,
        memory,
        board,
        firmware,
        _scratch(about, described),
        selection,
        resize,
    )


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
