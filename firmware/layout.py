"""How much of what the firmware needs, and where it goes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from analysis.arena import Need, need
from analysis.cortex_m7 import total
from firmware.describe import Description, StemDescription, describe, describe_stem
from firmware.engine import WEIGHTS
from firmware.engine.emit import Emitted, emit_measured
from firmware.engine.file import plan_of
from firmware.engine.measured import Measured
from firmware.engine.plan import Plan
from firmware.engine.weights import PROGRAM_BYTES, fit
from firmware.operators import registrations
from firmware.spare import Spare, place
from quantize.split import Stem
from runtime import integer
from runtime.benchmark.board import Board, Firmware, Fit, Memory
from runtime.engines.arena import MARGIN_PERCENT, TABLE_BYTES, reserved_bytes
from runtime.errors import KitError
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph

CANDIDATE_BYTES, TAP_BYTES = 16, 8
_POINTER_BYTES, _SETTINGS_BYTES = 4, 256  # The latter of what has no names and no tables.
CODE_BYTES = 32 * 1024  # The engine's code, with pre- and post-processing, is smaller.
STACK_BYTES = 3 * 1024  # So is the stack of a frame.


@dataclass(frozen=True)
class Reservation:
    """What is set aside for the arena.

    network: what TensorFlow Lite Micro needs, at most 4 % above a Cortex-M7's. tables: what the
    kernel of LEAKY_RELU takes besides. bytes: with the margin.
    """

    network: Need
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
    board. instructions: of the whole file by the library's own kernels, predicted; None where an
    operator was never counted."""

    content: bytes
    output_names: tuple[str, ...]
    stem: StemDescription | None
    operators: list[tuple[str, str, str]]
    arena: Reservation
    memory: Memory
    scratch: Scratch
    instructions: float | None


@dataclass(frozen=True)
class Network:
    """emitted: the plan as C. spare: the arena, and what lies in it beside the network.
    flash_bytes: weights, plan, tables and settings."""

    plan: Plan
    emitted: Emitted
    spare: Spare
    flash_bytes: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of arena, and at most of flash, with the code."""
        return self.spare.arena_bytes, self.flash_bytes + CODE_BYTES

    @property
    def program_bytes(self) -> int:
        """At most of flash, of the whole program."""
        return self.sizes[1] + PROGRAM_BYTES


@dataclass(frozen=True)
class EngineLayout(Basis):
    """Everything that becomes C for the kit's own engine. weights: one of `WEIGHTS`. measured: what
    chose the convolutions' forms; None: the model of their cycles."""

    weights: str
    measured: Measured | None
    network: Network
    memory: Memory

    @property
    def linked(self) -> Memory | None:
        """The flash, where the SDK's linker script leaves too little of it to the program."""
        flash = self.board.flash
        return None if flash is None or flash.holds(self.network.program_bytes) else flash


def basis(file: TfliteFile, board: Board, selection: Selection, resize: str) -> Basis:
    """Raises `KitError` for a model that the library has no room for."""
    if board.firmware is None:
        raise KitError(f"{board.title}: no firmware is known to run there")
    about = describe(file.spec, file.outputs, selection.score_threshold)
    names = tuple(file.spec.classes)
    chosen = board, board.firmware, selection, resize
    return Basis(file.spec.name, file.sha256, names, about, *chosen)


def lay_out_engine(
    basis: Basis, file: TfliteFile, weights: str | None, measured: Measured | None = None
) -> EngineLayout:
    """weights: None for the first that the board's flash holds.

    Raises `KitError` where the model does not fit the board.
    """
    chosen, network, found = plan_for(basis, file, weights, measured)
    other = " or other --weights" if weights else ""
    sizes = network.sizes[0], network.program_bytes
    memory = _memory(basis.board, found, sizes, file.path, other)
    return EngineLayout(
        **vars(basis), weights=chosen, measured=measured, network=network, memory=memory
    )


def plan_for(
    basis: Basis, file: TfliteFile, weights: str | None, measured: Measured | None = None
) -> tuple[str, Network, Fit]:
    """The weights, the plan with them, and where its arena goes. weights: None as above."""
    networks: dict[str, Network] = {}

    def sizes(form: str) -> tuple[int, int]:
        networks[form] = _network(basis, plan_of(file, form), measured)
        return networks[form].sizes

    chosen, found = fit(basis.board, sizes, WEIGHTS if weights is None else (weights,))
    return chosen, networks[chosen], found


def _network(basis: Basis, plan: Plan, measured: Measured | None) -> Network:
    about = basis.about
    columns = TAP_BYTES * about.width
    spare = place(plan, columns, CANDIDATE_BYTES * integer.MAX_CANDIDATES)
    forms = measured.forms if measured else None
    emitted = emit_measured(plan, "nanodet_generated_network", forms)
    tables = sum(level.score.nbytes + level.weight.nbytes for level in about.levels)
    names = sum(len(name.encode()) + 1 + _POINTER_BYTES for name in basis.class_names)
    settings = tables + names + _SETTINGS_BYTES
    return Network(plan, emitted, spare, emitted.weight_bytes + emitted.plan_bytes + settings)


def lay_out(basis: Basis, file: TfliteFile, content: bytes, stem: Stem | None) -> Layout:
    """content: the whole file, or what is left of it without `stem`.

    Raises `KitError` where the model does not fit the board.
    """
    described = None if stem is None else describe_stem(stem, file.path)
    counts = Graph.parse(content, file.path).counts
    arena = _arena(content, counts["LEAKY_RELU"])
    sizes = arena.bytes, len(content)
    memory = _memory(basis.board, basis.board.fits(*sizes), sizes, file.path)
    operators = registrations(counts, file.path)
    scratch = _scratch(basis.about, described)
    cost = total(Graph.parse(file.content, file.path), basis.board)
    return Layout(
        **vars(basis),
        content=content,
        output_names=tuple(file.spec.output_names),
        stem=described,
        operators=operators,
        arena=arena,
        memory=memory,
        scratch=scratch,
        instructions=None if cost.unknown else cost.instructions,
    )


def _memory(board: Board, found: Fit, sizes: tuple[int, int], path: str, other: str = "") -> Memory:
    """The memory for the arena. sizes: bytes of arena and flash. other: a further way out. Raises
    `KitError` where either fits nowhere."""
    if not found.in_flash:
        raise KitError(
            f"{path}: its {sizes[1]:,} bytes do not fit the flash of {board.title}; choose a "
            f"smaller --model{other}"
        )
    if found.memory is None:
        raise KitError(
            f"{path}: its arena of {sizes[0]:,} bytes fits no memory of {board.title}; choose "
            "fewer strides or a smaller --input-size"
        )
    return found.memory


def _arena(content: bytes, tables: int) -> Reservation:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(content)
        network = need(path)
    return Reservation(network, tables * TABLE_BYTES, reserved_bytes(network.bytes, tables))


def _scratch(about: Description, stem: StemDescription | None) -> Scratch:
    taps = TAP_BYTES * about.width
    front = 0 if stem is None else stem.scratch_bytes
    return Scratch(max(CANDIDATE_BYTES * integer.MAX_CANDIDATES, front + taps), front)
