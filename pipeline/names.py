"""Names of what is built and where it goes."""

from __future__ import annotations

import argparse
from pathlib import Path

import assets
from runtime.spec import ModelSpec

ROOT = Path(__file__).parent.parent
DEFAULT_MODEL = "nanodet-m-0.5x"


def variant(model: str, strides: tuple[int, ...] | None) -> ModelSpec:
    """The spec of a model of `models/`, answering for `strides`; default the coarsest alone."""
    spec = assets.model_spec(model)
    return spec.with_strides(strides or spec.architecture.strides[-1:])


def tflite_path(spec: ModelSpec, out: Path) -> Path:
    """Where the finished model goes."""
    return out / f"{spec.file_stem}.tflite"


def work_folder(spec: ModelSpec, out: Path) -> Path:
    """Where the stages leave their files."""
    return out / "build" / spec.file_stem


def parse_strides(text: str) -> tuple[int, ...]:
    """Command-line type: `16,32` -> (16, 32)."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected numbers such as 16,32") from None
