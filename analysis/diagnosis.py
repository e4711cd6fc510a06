"""What the doctor is told and what it finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.memory import Moment, Usage
from runtime.benchmark.board import Board
from runtime.tflite_graph import Graph, Operator

_SHOWN = 6
_NEAR = 0.95  # Of the peak.


@dataclass(frozen=True)
class Subject:
    """A file and the board it is meant for. own: it carries this kit's spec, so that
    `nanodet firmware` takes it."""

    path: Path
    graph: Graph
    memory: Usage
    board: Board
    own: bool


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    severity: error, it does not run or answers wrongly; warning, it is slower, larger or less
    accurate than it need be; note, worth knowing, or cured without building the model anew. cure:
    the option of this kit that helps; "" where there is none. source: where the rule comes from.
    operators: positions.
    """

    rule: str
    severity: str
    what: str
    why: str
    cure: str
    source: str
    operators: tuple[int, ...] = ()


@dataclass(frozen=True)
class Placement:
    """What runs an operator: `where`, and `reason` if that is not the usual."""

    position: int
    operator: str
    output: str
    where: str
    reason: str = ""


@dataclass(frozen=True)
class Arena:
    """bytes: that tensors and interpreter take on a microcontroller; basis: how that is known.
    reserved_bytes: what the firmware sets aside. goes_to: the board's memory that takes those, or
    `nowhere`."""

    bytes: int
    basis: str
    reserved_bytes: int
    goes_to: str


@dataclass(frozen=True)
class Prediction:
    """latency_ms: None where there is no honest basis for one. error: how far it may be off.
    lower_bound: it leaves out operators, which `basis` or `error` names."""

    latency_ms: float | None
    basis: str
    error: str = ""
    lower_bound: bool = False


@dataclass(frozen=True)
class Examination:
    """What a family of targets knows of a subject. basis: of the placements. memory: lines on
    memory that hold for this family alone. flash_bytes: None where the file itself lies there."""

    placements: tuple[Placement, ...]
    basis: str
    findings: tuple[Finding, ...]
    prediction: Prediction
    arena: Arena | None = None
    memory: tuple[str, ...] = field(default_factory=tuple)
    flash_bytes: int | None = None


def named(operators: Iterable[Operator]) -> str:
    """The operators of one name, counted and shown by position: `3 PAD (0, 3, 7)`."""
    found = list(operators)
    shown = ", ".join(str(op.position) for op in found[:_SHOWN])
    more = ", ..." if len(found) > _SHOWN else ""
    return f"{len(found)} {found[0].name} ({shown}{more})"


def about(
    operators: Sequence[Operator],
    rule: str,
    severity: str,
    what: str,
    why: str,
    cure: str,
    source: str,
) -> Finding | None:
    """A finding on operators of one name, None where there are none. what: goes on after their
    count, name and positions."""
    if not operators:
        return None
    what = f"{named(operators)}{what}"
    return Finding(rule, severity, what, why, cure, source, positions(operators))


def positions(operators: Iterable[Operator]) -> tuple[int, ...]:
    """Of operators, for a finding."""
    return tuple(op.position for op in operators)


def near_peak(memory: Usage) -> list[Moment]:
    """The moments that take nearly as much as the peak, the peak first."""
    near = [m for m in memory.moments if m.bytes >= _NEAR * memory.peak.bytes]
    return sorted(near, key=lambda moment: -moment.bytes)
