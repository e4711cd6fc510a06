"""The sequence of quantization methods on a graph, and what each of them did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from quantize import METHODS, statistics
from quantize.channels import Channels
from quantize.equalize import choose
from quantize.graph import Graph
from quantize.reconstruct import reconstruct
from runtime.spec import ModelSpec

# Is told what is going on, how much is done, and of how much.
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Quantized:
    """ranges: (low, high) of each group of tensors. notes: figures by method, for the report."""

    ranges: dict[int, tuple[float, float]]
    notes: dict[str, object]


def quantize(
    graph: Graph,
    spec: ModelSpec,
    images: Sequence[torch.Tensor],
    methods: Sequence[str] = METHODS,
    progress: Progress = silent,
) -> Quantized:
    """Change the graph's weights in place and choose ranges, by `methods`.

    images: the calibration photographs, each (1, 3, H, W) as the graph takes them. Without any
    method: the smallest and largest values seen (min/max).
    """
    limits = input_range(spec)
    if not methods:
        ranges = _extremes(graph, images, progress)
        return Quantized({**ranges, graph.scale_group[graph.input]: limits}, {})
    seen = statistics.collect(graph, images, spec.num_bins, partial(progress, "measure"))
    channels = Channels(graph)
    switches = "equalize" in methods, "ranges" in methods
    choice = choose(graph, channels, seen, *switches, partial(progress, "equalize"))
    channels.scale(graph, choice.factor)
    ranges = {**choice.ranges, graph.scale_group[graph.input]: limits}
    notes: dict[str, object] = {"expected_cost": choice.cost}
    if "reconstruct" in methods:
        before = graph.weights, graph.biases
        show = partial(progress, "reconstruct")
        learned = reconstruct(graph, images, ranges, spec.num_bins, show)
        notes["distillation_loss"] = learned.loss
        if learned.loss[1] < learned.loss[0]:
            ranges = learned.ranges
        else:  # Also where a loss is no number.
            graph.weights, graph.biases = before
            notes["left_out"] = "reconstruct, which gained nothing"
    return Quantized(ranges, notes)


def input_range(spec: ModelSpec) -> tuple[float, float]:
    """The range that makes the int8 input `pixel - 128`."""
    offset, scale = spec.input.raw_offset, spec.input.raw_scale
    return -offset / scale, (255 - offset) / scale


def _extremes(
    graph: Graph, images: Sequence[torch.Tensor], progress: Progress
) -> dict[int, tuple[float, float]]:
    seen = statistics.extremes(graph, images, partial(progress, "measure"))
    ranges: dict[int, tuple[float, float]] = {}
    for tensor, (low, high) in seen.items():
        if tensor not in graph.pooled_only:
            group = graph.scale_group[tensor]
            before = ranges.get(group, (0.0, 0.0))
            ranges[group] = min(before[0], float(low.min())), max(before[1], float(high.max()))
    return {group: (low, max(high, low + 1e-9)) for group, (low, high) in ranges.items()}
