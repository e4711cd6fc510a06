"""Where an int8 network loses: what rounding does to each tensor, and what it costs.

The float network here is the one the int8 file stands for: its weights, dequantized.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from quantize.float_graph import FloatGraph
from quantize.loss import Logits, distillation_loss
from quantize.simulate import STEPS, Ranges, round_activation, run
from runtime.preprocess import float_input, upright
from runtime.spec import ModelSpec


@dataclass(frozen=True)
class TensorNoise:
    """One tensor that int8 arithmetic rounds. noise_db: signal to noise of its own rounding.
    total_db: signal to noise with everything before it rounded as well."""

    name: str
    operator: str
    noise_db: float
    total_db: float


@dataclass(frozen=True)
class TensorReport(TensorNoise):
    """low, high: its range. used: share of the range that the images fill. saturated: share of
    values that the range clips. cost: distillation loss when it and those that share its scale are
    all that is rounded. relief: loss that goes when these stay float.
    """

    shape_nhwc: tuple[int, ...]
    low: float
    high: float
    used: float
    saturated: float
    cost: float
    relief: float


class GraphEngine:
    """A graph as PyTorch runs it: in float, or with int8 rounding where there are `ranges`; with
    other weights and biases on request, see `simulate.run`."""

    name = "simulated"

    def __init__(
        self,
        graph: FloatGraph,
        spec: ModelSpec,
        ranges: Ranges | None = None,
        weights: Sequence[torch.Tensor] | None = None,
        biases: Sequence[torch.Tensor] | None = None,
    ) -> None:
        self.spec, self._graph, self._numbers = spec, graph, (ranges, weights, biases)
        self._device = (weights or graph.weights)[0].device

    def infer(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas -> float32 logits (h, w, C) by name, upright."""
        pixels = torch.from_numpy(float_input(canvas, self.spec)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            found = run(self._graph, pixels.to(self._device), *self._numbers)
        grids = {name: values[0].permute(1, 2, 0).cpu().numpy() for name, values in found.items()}
        return {name: upright(grid, self.spec) for name, grid in grids.items()}


class SimulatedEngine(GraphEngine):
    """The int8 network of a file, on request with one tensor, and those that share its scale, in
    float."""

    def __init__(self, graph: FloatGraph, spec: ModelSpec, in_float: str | None = None) -> None:
        exempt = {graph.scale_group[t] for t in graph.activations if graph.name(t) == in_float}
        ranges = tensor_ranges(graph)
        kept = {group: limits for group, limits in ranges.items() if group not in exempt}
        super().__init__(graph, spec, kept)


def tensor_ranges(graph: FloatGraph) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """The ranges of an int8 file for `simulate.run`."""
    return {g: (torch.tensor(low), torch.tensor(high)) for g, (low, high) in graph.ranges.items()}


def noise(graph: FloatGraph, images: torch.Tensor) -> list[TensorNoise]:
    """The noise of each rounded tensor, in the graph's order; images (N, 3, H, W)."""
    ranges = tensor_ranges(graph)
    exact, rounded = _values(graph, images, None), _values(graph, images, ranges)
    kinds = {op.outputs[0]: op.kind for op in graph.operators}
    found = []
    for tensor in graph.rounded:
        signal = exact[tensor]
        own = round_activation(signal, *ranges[graph.scale_group[tensor]])
        found.append(
            TensorNoise(
                name=graph.name(tensor),
                operator=kinds[tensor],
                noise_db=_decibel(signal, own - signal),
                total_db=_decibel(signal, rounded[tensor] - signal),
            )
        )
    return found


def measure(
    graph: FloatGraph,
    images: torch.Tensor,
    num_bins: int,
    progress: Callable[[int, int], None],
) -> list[TensorReport]:
    """A report of each rounded tensor, in the graph's order; images (N, 3, H, W)."""
    ranges, exact = tensor_ranges(graph), _values(graph, images, None)
    teacher = {name: exact[tensor] for name, tensor in graph.outputs.items()}
    everything = _loss(graph, images, ranges, teacher, num_bins)
    reports = []
    for i, (tensor, heard) in enumerate(zip(graph.rounded, noise(graph, images))):
        group = graph.scale_group[tensor]
        low, high = ranges[group]
        signal = exact[tensor]
        others = {g: limits for g, limits in ranges.items() if g != group}
        filled = float(signal.max().clamp(max=high) - signal.min().clamp(min=low))
        step = (high - low) / STEPS
        outside = (signal < low - step / 2) | (signal > high + step / 2)
        reports.append(
            TensorReport(
                **asdict(heard),
                shape_nhwc=graph.shape_nhwc(tensor),
                low=float(low),
                high=float(high),
                used=min(1.0, filled / float(high - low)),
                saturated=float(outside.float().mean()),
                cost=_loss(graph, images, {group: ranges[group]}, teacher, num_bins),
                relief=everything - _loss(graph, images, others, teacher, num_bins),
            )
        )
        progress(i + 1, len(graph.rounded))
    return reports


def _values(
    graph: FloatGraph, images: torch.Tensor, ranges: Ranges | None
) -> dict[int, torch.Tensor]:
    wanted = {*graph.rounded, *graph.outputs.values()}
    found: dict[int, torch.Tensor] = {}

    def observe(tensor: int, value: torch.Tensor) -> None:
        if tensor in wanted:
            found[tensor] = value

    with torch.no_grad():
        run(graph, images, ranges, observe=observe)
    return found


def _loss(
    graph: FloatGraph, images: torch.Tensor, ranges: Ranges, teacher: Logits, num_bins: int
) -> float:
    with torch.no_grad():
        return float(distillation_loss(run(graph, images, ranges), teacher, num_bins))


def _decibel(signal: torch.Tensor, noise: torch.Tensor) -> float:
    ratio = signal.var() / noise.square().mean().clamp(min=1e-30)
    return float(10 * torch.log10(ratio.clamp(min=1e-30)))


def worst(reports: Sequence[TensorReport], count: int) -> list[TensorReport]:
    """The tensors whose rounding alone costs most, dearest first."""
    return sorted(reports, key=lambda r: -r.cost)[:count]
