"""How much of what the firmware needs, and where it goes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from firmware.board import Board, Memory
from firmware.describe import Description, StemDescription, describe, describe_stem
from firmware.operators import registrations
from quantize.split import Stem
from runtime import integer
from runtime.engines.arena import MARGIN_PERCENT, TABLE_BYTES, arena_bytes, reserved_bytes
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph

_CANDIDATE_BYTES = _TAP_BYTES = 8


@dataclass(frozen=True)
class Selection:
    """Which detections are wanted."""

    score_threshold: float
    iou_threshold: float
    max_detections: int


@dataclass(frozen=True)
class Arena:
    """measured: by TensorFlow Lite Micro on this machine, at most 4 % above a Cortex-M7's.
    tables: what the kernel of LEAKY_RELU takes besides. bytes: with the margin."""

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
    arena: Arena
    memory: Memory
    board: Board
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
    about = describe(file.spec, file.outputs, selection.score_threshold)
    described = None if stem is None else describe_stem(stem, file.path)
    counts = Graph.parse(content, file.path).counts
    arena = _arena(content, counts["LEAKY_RELU"])
    memory = board.place(arena.bytes)
    if arena.bytes > memory.bytes:
        raise KitError(
            f"{file.path}: its arena of {arena.bytes:,} bytes does not fit {board.soc}'s "
            f"{memory.name} ({memory.bytes:,}); choose fewer strides or a smaller --input-size"
        )
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
        _scratch(about, described),
        selection,
        resize,
    )


def _arena(content: bytes, tables: int) -> Arena:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(content)
        measured = arena_bytes(path)
    return Arena(measured, tables * TABLE_BYTES, reserved_bytes(measured, tables))


def _scratch(about: Description, stem: StemDescription | None) -> Scratch:
    taps = _TAP_BYTES * about.width
    front = 0 if stem is None else stem.scratch_bytes
    return Scratch(max(_CANDIDATE_BYTES * integer.MAX_CANDIDATES, front + taps), front)
