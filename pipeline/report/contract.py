"""What the modules of this package hand to one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from analysis.arena import Placed

if TYPE_CHECKING:
    from data.annotations import AnnotatedImages
    from evaluation.waterfall import Step


LEAST_BOXES = 10  # Of fewer, one box more or less makes an AP of its own.


@dataclass(frozen=True)
class Job:
    """What to report on.

    tflite, onnx, weights: the finished file, the float network it was made from, the checkpoint.
    calibration, evaluation: images, and annotated ones if at hand. content: of `report.json`.
    command: what was typed. trained_by: `authors` of NanoDet, this `kit`, or the `user`.
    """

    tflite: Path
    onnx: Path
    weights: Path
    calibration: Sequence[Path]
    evaluation: AnnotatedImages | None
    content: dict[str, Any]
    command: str
    trained_by: Literal["authors", "kit", "user"]


@dataclass(frozen=True)
class Missing:
    """What could not be measured, and why, as a sentence."""

    why: str


@dataclass(frozen=True)
class ClassScore:
    """AP in percent of the float and of the quantized network. boxes: annotated ones."""

    name: str
    boxes: int
    float_ap: float
    ap: float


@dataclass(frozen=True)
class Accuracy:
    """What the annotated images say.

    steps: of the waterfall. left_out: why it ends before the last engine; "" where it does not.
    exact, quantized: the steps that the curves and classes compare, both with the file's strides.
    classes: those that are annotated, the most frequent first.
    """

    images: int
    steps: tuple[Step, ...]
    left_out: str
    exact: Step
    quantized: Step
    classes: tuple[ClassScore, ...]

    @property
    def found_classes(self) -> tuple[ClassScore, ...]:
        """Those of `LEAST_BOXES` or more of which one of the two networks finds any."""
        found = (c for c in self.classes if c.float_ap > 0 or c.ap > 0)
        return tuple(c for c in found if c.boxes >= LEAST_BOXES)


@dataclass(frozen=True)
class Picture:
    """An image as the float and the quantized network see it: JPEG data URIs and what was found."""

    name: str
    exact_uri: str
    quantized_uri: str
    exact_found: str
    quantized_found: str


@dataclass(frozen=True)
class Noise:
    """Signal to noise of one tensor in dB: of its own rounding, and with all before it rounded."""

    name: str
    own_db: float
    total_db: float


@dataclass(frozen=True)
class Structure:
    """parameters: weights and biases. macs: multiplications per inference. operators: kind ->
    count, most first. units: of NPUs, by what is known of them, how many operators each takes."""

    parameters: int
    macs: int
    operators: dict[str, int]
    units: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class ArenaMap:
    """The arena over time.

    operators: how many run. planned_bytes: what the layout takes. peak_bytes: of the tensors that
    are needed at once, where most are; peak: position of the operator that runs then, peak_at: its
    name. peak_tensors: those tensors, largest first.
    """

    placed: tuple[Placed, ...]
    operators: int
    planned_bytes: int
    peak_bytes: int
    peak: int
    peak_at: str
    peak_tensors: tuple[Placed, ...]


@dataclass(frozen=True)
class EngineRun:
    """A frame on the kit's own engine. instructions: until the end of each step. used_bytes: needed
    while it runs. arena_bytes: of all."""

    instructions: tuple[float, ...]
    used_bytes: tuple[int, ...]
    arena_bytes: int


@dataclass(frozen=True)
class Latency:
    """One board. predicted_ms, basis: with TensorFlow Lite Micro for this file, and by what; None
    where it cannot be. memory: where its arena goes. lower_bound: some operators were never
    counted. engine_ms, engine_memory: the same on the kit's own engine. on_tflm, on_engine: whether
    it fits and how fast it is, in words."""

    board: str
    cores: str
    predicted_ms: float | None
    basis: str
    memory: str
    lower_bound: bool = False
    engine_ms: float | None = None
    engine_memory: str = ""
    on_tflm: str = ""
    on_engine: str = ""


@dataclass(frozen=True)
class PublishedLatency:
    """A latency that somebody else published. origin: of which model, and where."""

    board: str
    accelerator: str
    latency_ms: float
    origin: str


@dataclass(frozen=True)
class Findings:
    """All that was measured or looked up. annotated: the pictures are of the annotated images, not
    of those for calibration."""

    accuracy: Accuracy | Missing
    pictures: tuple[Picture, ...]
    annotated: bool
    noise: tuple[Noise, ...] | Missing
    structure: Structure
    arena: ArenaMap | Missing
    engine: EngineRun | Missing
    latencies: tuple[Latency, ...]
    published: tuple[PublishedLatency, ...]
