"""The whole of quantization: a float TFLite file in, a verified integer one out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from quantize import METHODS, integer_file
from quantize.deploy import deploy
from quantize.float_graph import FloatGraph
from quantize.methods import FineTuning, Progress, quantize, silent
from quantize.scheme import INT8, Scheme
from quantize.steady import settle
from quantize.verify import expected_counts
from runtime.preprocess import float_input
from runtime.spec import ModelSpec


@dataclass(frozen=True)
class Int8Build:
    """content: of the finished file. operators: how often each occurs. notes: of the methods, and
    of rewrites that were left out."""

    content: bytes
    operators: Counter[str]
    notes: dict[str, object]


def build_int8(
    float_model: bytes,
    spec: ModelSpec,
    canvases: Sequence[np.ndarray],
    path: str,
    onnx_path: Path,
    methods: Sequence[str] = METHODS,
    rewrites: Collection[str] = (),
    progress: Progress = silent,
    fine_tuning: FineTuning | None = None,
    scheme: Scheme = INT8,
) -> Int8Build:
    """Quantize a float TFLite file, see `float_file`.

    canvases: calibration photographs. path: names the file in errors. onnx_path: the graph it
    comes from, which says how many operators of each kind there must be. methods: see
    `quantize.methods`; none is plain min/max. rewrites: see `quantize.deploy`. fine_tuning:
    quantization-aware training. scheme: which integers.
    Raises `GateFailed` when the file is not what the targets can run.
    """
    graph = FloatGraph.parse(float_model, scheme)
    images = [torch.from_numpy(float_input(c, spec)).permute(0, 3, 1, 2) for c in canvases]
    quantized = quantize(graph, spec, images, methods, progress, fine_tuning)
    ranges = quantized.ranges if scheme.wide else settle(graph, quantized.ranges)
    model = integer_file.write(graph, ranges)
    deployed = deploy(model, spec, rewrites, expected_counts(onnx_path), canvases[0], path)
    notes = {**quantized.notes, "rewrites_left_out": deployed.left_out}
    return Int8Build(deployed.content, deployed.operators, notes)
