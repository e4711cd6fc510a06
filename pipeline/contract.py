"""What the modules of this package hand to one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.spec import ModelSpec

if TYPE_CHECKING:
    from data.annotations import AnnotatedImages

HELD_OUT = 10  # Of `--qat`'s pictures, one of so many judges.
# By so many standard errors a fine-tuned file has to agree better. By one, a sixth of those would
# be published that gained nothing, or more: the same pictures chose the epoch.
SURE = 2


@dataclass(frozen=True)
class Checkpoint:
    """A network as trained, and its weights."""

    spec: ModelSpec
    weights: Path


@dataclass(frozen=True)
class QatInputs:
    """What quantization-aware fine-tuning takes: the network as trained, pictures to learn from and
    to judge by, rounds, and perhaps a larger network to learn from."""

    network: Checkpoint
    images: tuple[Path, ...]
    held_out: tuple[Path, ...]
    epochs: int
    teacher: Checkpoint | None


@dataclass(frozen=True)
class QuantizationSettings:
    """How to quantize. quantization: of `quantize.scheme`. methods, rewrites: see `quantize.build`.
    further: photographs to learn rounding from instead of those for calibration; empty for none."""

    quantization: str
    methods: tuple[str, ...]
    rewrites: tuple[str, ...]
    further: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """What a build takes. images: for calibration. evaluation: annotated images, where they are at
    hand. further: of `QuantizationSettings`. qat: where it was asked for."""

    weights: Path
    weights_sha256: str
    images: tuple[Path, ...]
    evaluation: AnnotatedImages | None
    further: tuple[Path, ...]
    qat: QatInputs | None
