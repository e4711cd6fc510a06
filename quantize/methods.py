"""The sequence of quantization methods on a graph, and what each of them did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch

from quantize import METHODS, statistics
from quantize.channels import Channels
from quantize.equalize import choose
from quantize.float_graph import FloatGraph
from quantize.learn import Ends, Learned
from quantize.reconstruct import reconstruct
from quantize.slopes import exact
from runtime.spec import ModelSpec

# Is told what is going on, how much is done, and of how much.
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


class FineTuning(Protocol):
    """Quantization-aware training, which takes the place of `reconstruct`; see `train.qat`.

    Both change the graph's weights in place.
    """

    def prepare(
        self, graph: FloatGraph, ranges: dict[int, Ends], progress: statistics.Progress
    ) -> Learned | None:
        """In float, before anything is measured; `ranges` tell how large values are."""

    def adapt(
        self, graph: FloatGraph, ranges: dict[int, Ends], progress: statistics.Progress
    ) -> Learned:
        """With int8 rounding in place."""


@dataclass(frozen=True)
class Quantized:
    """ranges: (low, high) of each group of tensors. notes: figures by method, for the report."""

    ranges: dict[int, Ends]
    notes: dict[str, object]


def quantize(
    graph: FloatGraph,
    spec: ModelSpec,
    images: Sequence[torch.Tensor],
    methods: Sequence[str] = METHODS,
    progress: Progress = silent,
    fine_tuning: FineTuning | None = None,
    further: Sequence[torch.Tensor] = (),
) -> Quantized:
    """Change the graph's weights in place and choose ranges, by `methods`.

    images: the calibration photographs, each (1, 3, H, W) as the graph takes them. Without any
    method: the smallest and largest values seen (min/max). further: more photographs, for
    `reconstruct` to learn from.
    """
    limits = input_range(spec)
    if not methods and fine_tuning is None:
        ranges = _extremes(graph, images, progress)
        return Quantized({**ranges, graph.scale_group[graph.input]: limits}, {})
    notes = {} if fine_tuning is None else _prepare(fine_tuning, graph, images, progress)
    seen = statistics.collect(graph, images, spec.num_bins, partial(progress, "measure"))
    channels = Channels(graph)
    switches = "equalize" in methods, "ranges" in methods
    choice = choose(graph, channels, seen, *switches, partial(progress, "equalize"))
    channels.scale(graph, choice.factor)
    ranges = _with_exact_slopes(graph, {**choice.ranges, graph.scale_group[graph.input]: limits})
    notes["expected_cost"] = choice.cost
    learn = _last_method(spec, further or images, methods, fine_tuning)
    if learn is None:
        return Quantized(ranges, notes)
    name, adapt = learn
    before = graph.weights, graph.biases
    learned = adapt(graph, ranges, partial(progress, name))
    notes["loss"] = learned.loss
    if learned.curve:
        notes["agreement"] = learned.curve
    if not learned.gained:
        graph.weights, graph.biases = before
        return Quantized(ranges, {**notes, "left_out": f"{name}, which gained nothing"})
    return Quantized(learned.ranges, notes)


def _with_exact_slopes(graph: FloatGraph, ranges: dict[int, Ends]) -> dict[int, Ends]:
    tensors = {g: (torch.tensor(low), torch.tensor(high)) for g, (low, high) in ranges.items()}
    return {g: (float(low), float(high)) for g, (low, high) in exact(graph, tensors).items()}


def _prepare(
    fine_tuning: FineTuning, graph: FloatGraph, images: Sequence[torch.Tensor], progress: Progress
) -> dict[str, object]:
    extremes, before = _extremes(graph, images, progress), (graph.weights, graph.biases)
    learned = fine_tuning.prepare(graph, extremes, partial(progress, "fine-tune"))
    if learned is None:
        return {"float_loss": None}
    notes: dict[str, object] = {"float_loss": learned.loss, "float_agreement": learned.curve}
    if not learned.gained:
        graph.weights, graph.biases = before
        notes["float_left_out"] = "fine-tuning in float, which gained nothing"
    return notes


_Adapt = Callable[[FloatGraph, dict[int, Ends], statistics.Progress], Learned]


def _last_method(
    spec: ModelSpec,
    images: Sequence[torch.Tensor],
    methods: Sequence[str],
    fine_tuning: FineTuning | None,
) -> tuple[str, _Adapt] | None:
    """The method that learns with rounding in place, with its name."""
    if fine_tuning is not None:
        return "qat", fine_tuning.adapt
    if "reconstruct" in methods:
        pixels = input_range(spec)
        adapt = partial(reconstruct, images=images, num_bins=spec.num_bins, pixels=pixels)
        return "reconstruct", adapt
    return None


def input_range(spec: ModelSpec) -> tuple[float, float]:
    """The range that makes the int8 input `pixel - 128`."""
    offset, scale = spec.input.raw_offset, spec.input.raw_scale
    return -offset / scale, (255 - offset) / scale


def _extremes(
    graph: FloatGraph, images: Sequence[torch.Tensor], progress: Progress
) -> dict[int, Ends]:
    seen = statistics.extremes(graph, images, partial(progress, "measure"))
    ranges: dict[int, Ends] = {}
    for tensor, (low, high) in seen.items():
        if tensor not in graph.pooled_only:
            group = graph.scale_group[tensor]
            before = ranges.get(group, (0.0, 0.0))
            ranges[group] = min(before[0], float(low.min())), max(before[1], float(high.max()))
    return {group: (low, max(high, low + 1e-9)) for group, (low, high) in ranges.items()}
