"""Learning a graph's weights, biases and ranges, with int8 rounding in place or in float.

Everything learns in units of its own grid: a weight in steps of its channel, a bias and a limit in
steps of their tensor. One rate then suits all, whatever the network. Ranges learn as in LSQ+
(arXiv:2004.09576), weights through their rounding (straight-through, arXiv:1308.3432).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from quantize.float_graph import FloatGraph
from quantize.loss import Logits
from quantize.simulate import STEPS, Ranges, round_weight, run, weight_step
from quantize.slopes import exact
from quantize.statistics import Progress

Ends = tuple[float, float]
LossOf = Callable[[Logits], torch.Tensor]
# Number of the iteration -> pixels as the graph takes them, and the loss of its logits.
Objective = Callable[[int], tuple[torch.Tensor, LossOf]]


@dataclass(frozen=True)
class Schedule:
    """rate: of Adam at the start, in grid steps; it falls to 0 along a cosine.

    rounding: int8 rounding in place; without it ranges only set the units.
    """

    iterations: int
    rate: float
    rounding: bool = True


@dataclass(frozen=True)
class Learned:
    """ranges: as learned. loss: mean over the first and the last tenth of iterations."""

    ranges: dict[int, Ends]
    loss: Ends


class _Offsets:
    """Weights, biases and limits as offsets in steps from where they start."""

    def __init__(self, graph: FloatGraph, ranges: dict[int, Ends]) -> None:
        self._graph = graph
        self._groups = [g for g in ranges if g != graph.scale_group[graph.input]]
        self._limits = torch.tensor([ranges[g] for g in self._groups])
        self._step = (self._limits[:, 1] - self._limits[:, 0]) / STEPS
        place = {group: i for i, group in enumerate(self._groups)}
        self._bias_steps = [
            self._step[place[graph.scale_group[op.outputs[0]]]] for op in graph.convolutions
        ]
        self._weight_steps = [weight_step(w, graph.scheme.per_channel) for w in graph.weights]
        self._weights = [torch.zeros_like(w, requires_grad=True) for w in graph.weights]
        self._biases = [torch.zeros_like(b, requires_grad=True) for b in graph.biases]
        self._ranges = torch.zeros_like(self._limits, requires_grad=True)

    def all(self) -> list[torch.Tensor]:
        return [*self._weights, *self._biases, self._ranges]

    def weights(self) -> list[torch.Tensor]:
        parts = zip(self._graph.weights, self._weight_steps, self._weights, strict=True)
        return [w + step * offset for w, step, offset in parts]

    def biases(self) -> list[torch.Tensor]:
        parts = zip(self._graph.biases, self._bias_steps, self._biases, strict=True)
        return [b + step * offset for b, step, offset in parts]

    def ranges(self) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        limits = self._limits + self._step[:, None] * self._ranges
        # 0 stays inside, and the range does not vanish.
        low, high = limits[:, 0].clamp(max=0), torch.maximum(limits[:, 1], self._step)
        return exact(self._graph, {g: (low[i], high[i]) for i, g in enumerate(self._groups)})


def learn(
    graph: FloatGraph,
    ranges: dict[int, Ends],
    objective: Objective,
    schedule: Schedule,
    progress: Progress,
) -> Learned:
    """Train the graph's weights and biases in place; returns the ranges learned with them."""
    offsets = _Offsets(graph, ranges)
    optimizer = torch.optim.Adam(offsets.all(), lr=schedule.rate)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.iterations)
    losses = []
    for i in range(schedule.iterations):
        images, loss_of = objective(i)
        loss = loss_of(_run(graph, images, offsets, schedule.rounding))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cosine.step()
        losses.append(float(loss.detach()))
        progress(i + 1, schedule.iterations)
    with torch.no_grad():
        graph.weights, graph.biases = offsets.weights(), offsets.biases()
        final = {g: (float(low), float(high)) for g, (low, high) in offsets.ranges().items()}
    tenth = math.ceil(schedule.iterations / 10)
    ends = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    return Learned({**ranges, **final}, ends)


def _run(graph: FloatGraph, images: torch.Tensor, offsets: _Offsets, rounding: bool) -> Logits:
    weights, biases = offsets.weights(), offsets.biases()
    if not rounding:
        return run(graph, images, None, weights, biases)
    limits: Ranges | None = None if graph.scheme.wide else offsets.ranges()
    rounded = [round_weight(w, graph.scheme.per_channel) for w in weights]
    return run(graph, images, limits, rounded, biases)
