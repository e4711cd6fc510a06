"""What a measurement consists of. Latencies are milliseconds, memory is MB as the tool counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .board import Board


@dataclass(frozen=True)
class Phase:
    """Latencies of `count` inferences in a row. None: what the tool does not give."""

    count: int
    first_ms: float | None
    min_ms: float
    max_ms: float
    mean_ms: float
    std_ms: float
    p5_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True)
class Delegation:
    """How much of the graph the delegate runs. kind: `none`, `partial` or `full`. kernels: pieces
    of the graph it runs."""

    kind: str
    kernels: int


@dataclass(frozen=True)
class OperatorTime:
    """Mean latency of one node. kind: e.g. `CONV_2D`, or the delegate's name of its kernel."""

    kind: str
    name: str
    mean_ms: float


@dataclass(frozen=True)
class Footprint:
    """Memory that initialization and everything took, above the tool's own; and the peak."""

    init_mb: float | None = None
    overall_mb: float | None = None
    peak_mb: float | None = None


@dataclass(frozen=True)
class ToolOutput:
    """What one run of a benchmark tool says. warmup: None where the tool says too little of it.
    delegation: None where it says nothing of it."""

    init_ms: float
    first_ms: float
    steady: Phase
    warmup: Phase | None = None
    warmup_mean_ms: float | None = None
    delegation: Delegation | None = None
    operators: tuple[OperatorTime, ...] = ()
    footprint: Footprint = field(default_factory=Footprint)


@dataclass(frozen=True)
class Settings:
    """What is measured. model: the file's name. command: of the timed run, as one types it."""

    model: str
    sha256: str
    bytes: int
    accelerator: str
    threads: int
    runs: int
    command: str


@dataclass(frozen=True)
class Device:
    """Where. kernel: all of `uname -a`. system: name of the board's image."""

    title: str
    kernel: str
    system: str
    tool: str
    tool_version: str


@dataclass(frozen=True)
class Measurement:
    """One model on one accelerator.

    init_ms, first_ms: without a compiled graph from before; cached: the same where the driver
    kept it, None where it keeps none. operators: of a run of its own, for profiling costs time.
    cpu_operators: how many of each kind the CPU ran although an accelerator was asked for.
    notes: what the user must know before quoting the figures.
    """

    settings: Settings
    device: Device
    init_ms: float
    first_ms: float
    steady: Phase
    cached_init_ms: float | None = None
    cached_first_ms: float | None = None
    warmup: Phase | None = None
    warmup_mean_ms: float | None = None
    delegation: Delegation | None = None
    operators: tuple[OperatorTime, ...] = ()
    cpu_operators: dict[str, int] = field(default_factory=dict)
    footprint: Footprint = field(default_factory=Footprint)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """A measurement, the board's profile with what was published, and what the tool printed."""

    measurement: Measurement
    profile: Board
    log: str


def count_kinds(operators: Iterable[OperatorTime]) -> dict[str, int]:
    """How often each kind of operator occurs, the most frequent first."""
    counts = Counter(operator.kind for operator in operators)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
