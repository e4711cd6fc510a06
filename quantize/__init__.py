"""Quantization: SavedModel -> a verified full-int8 TFLite file. `build_int8` runs the stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from quantize import flatbuffer, package, post_training, shuffle, verify
from runtime.spec import ModelSpec

__all__ = ["build_int8"]


def build_int8(
    saved_model: Path,
    spec: ModelSpec,
    canvases: Iterable[np.ndarray],
    path: str,
    onnx_path: Path,
) -> tuple[bytes, Counter[str]]:
    """Content of the finished file, and its operator counts.

    canvases: calibration photographs. path: names the file in errors. onnx_path: the graph it
    comes from, which says how many operators of each kind there must be.
    Raises `GateFailed` when the file is not what the targets can run.
    """
    model = flatbuffer.parse(post_training.quantize(saved_model, spec, canvases))
    package.name_tensors(model, spec)
    shuffle.replace_gathers(model)
    package.embed_spec(model, spec)
    content = flatbuffer.serialize(model)
    return content, verify.verify(content, verify.expected_counts(onnx_path), path)
