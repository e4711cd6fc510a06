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
    further: Sequence[np.ndarray] = (),
) -> Int8Build:
    """Quantize a float TFLite file, see `float_file`.

    canvases: calibration photographs. path: names the file in errors. onnx_path: the graph it
    comes from, which says how many operators of each kind there must be. methods: see
    `quantize.methods`; none is plain min/max. rewrites: see `quantize.deploy`. fine_tuning:
    quantization-aware training. scheme: which integers. further: photographs to learn from in
    the place of `canvases`, each read when it is used.
    Raises `GateFailed` when the file is not what the targets can run.
    """
    graph = FloatGraph.parse(float_model, scheme)
    images = list(_Inputs(canvases, spec))
    learned = _Inputs(further, spec)
    quantized = quantize(graph, spec, images, methods, progress, fine_tuning, learned)
    ranges = quantized.ranges if scheme.wide else settle(graph, quantized.ranges)
    model = integer_file.write(graph, ranges)
    deployed = deploy(model, spec, rewrites, expected_counts(onnx_path), canvases[0], path)
    notes = {**quantized.notes, "rewrites_left_out": deployed.left_out}
    return Int8Build(deployed.content, deployed.operators, notes)


class _Inputs(Sequence[torch.Tensor]):
    """Canvases as the graph takes them, each (1, 3, H, W), made when it is asked for."""

    def __init__(self, canvases: Sequence[np.ndarray], spec: ModelSpec) -> None:
        self._canvases, self._spec = canvases, spec

    def __len__(self) -> int:
        return len(self._canvases)

    def __getitem__(self, place: int) -> torch.Tensor:  # type: ignore[override]
        pixels = float_input(self._canvases[place], self._spec)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)
