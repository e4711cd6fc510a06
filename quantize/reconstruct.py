"""Adapt weights, biases and ranges so that the int8 network answers as the float one does.

The network runs with int8 rounding in place and is trained for a few minutes against the float
network's logits on the calibration photographs and their mirror images: rounding decisions,
biases and ranges are learned together, which takes in bias correction (Nagel et al.,
arXiv:1906.04721, 4.2), adaptive rounding (AdaRound, arXiv:2004.10568) and learned ranges (LSQ+,
arXiv:2004.09576), with the loss at the output as in BRECQ (arXiv:2102.05426) with one block.

Everything learns in units of its own grid: a weight in steps of its channel, a bias and a limit in
steps of their tensor. One rate then suits all, whatever the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quantize.graph import Graph
from quantize.loss import Logits, distillation_loss
from quantize.simulate import STEPS, Ranges, round_weight, run, weight_step
from quantize.statistics import Progress

ITERATIONS = 300
BATCH = 4
_RATE = 0.01
_SEED = 0


@dataclass(frozen=True)
class Reconstruction:
    """ranges: as learned. loss: distillation loss over the first and the last tenth of steps."""

    ranges: dict[int, tuple[float, float]]
    loss: tuple[float, float]


class _Learned:
    """Weights, biases and limits as offsets in steps from where they start."""

    def __init__(self, graph: Graph, ranges: dict[int, tuple[float, float]]) -> None:
        self._graph = graph
        self._groups = [g for g in ranges if g != graph.scale_group[graph.input]]
        self._limits = torch.tensor([ranges[g] for g in self._groups])
        self._step = (self._limits[:, 1] - self._limits[:, 0]) / STEPS
        place = {group: i for i, group in enumerate(self._groups)}
        self._bias_steps = [
            self._step[place[graph.scale_group[op.outputs[0]]]] for op in graph.convolutions
        ]
        self._weight_steps = [weight_step(w) for w in graph.weights]
        self.weight_offsets = [torch.zeros_like(w, requires_grad=True) for w in graph.weights]
        self.bias_offsets = [torch.zeros_like(b, requires_grad=True) for b in graph.biases]
        self.limit_offsets = torch.zeros_like(self._limits, requires_grad=True)

    def weights(self) -> list[torch.Tensor]:
        parts = zip(self._graph.weights, self._weight_steps, self.weight_offsets, strict=True)
        return [w + step * offset for w, step, offset in parts]

    def biases(self) -> list[torch.Tensor]:
        parts = zip(self._graph.biases, self._bias_steps, self.bias_offsets, strict=True)
        return [b + step * offset for b, step, offset in parts]

    def ranges(self) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        limits = self._limits + self._step[:, None] * self.limit_offsets
        # 0 stays inside, and the range does not vanish.
        low, high = limits[:, 0].clamp(max=0), torch.maximum(limits[:, 1], self._step)
        return {g: (low[i], high[i]) for i, g in enumerate(self._groups)}


def reconstruct(
    graph: Graph,
    images: Sequence[torch.Tensor],
    ranges: dict[int, tuple[float, float]],
    num_bins: int,
    progress: Progress,
) -> Reconstruction:
    """Train the graph's weights and biases in place; returns the ranges learned with them."""
    photographs = torch.cat(list(images))
    photographs = torch.cat([photographs, photographs.flip(3)])
    with torch.no_grad():
        parts = [run(graph, part) for part in photographs.split(BATCH)]
    teacher = {name: torch.cat([p[name] for p in parts]) for name in parts[0]}
    learned = _Learned(graph, ranges)
    offsets = [*learned.weight_offsets, *learned.bias_offsets, learned.limit_offsets]
    optimizer = torch.optim.Adam(offsets, lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, ITERATIONS)
    order = _shuffled(len(photographs), ITERATIONS * BATCH)
    losses = []
    for i in range(ITERATIONS):
        chosen = order[i * BATCH : (i + 1) * BATCH]
        outputs = _run_rounded(graph, photographs[chosen], learned)
        wanted = {name: values[chosen] for name, values in teacher.items()}
        loss = distillation_loss(outputs, wanted, num_bins)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        progress(i + 1, ITERATIONS)
    with torch.no_grad():
        graph.weights, graph.biases = learned.weights(), learned.biases()
        final = {g: (float(low), float(high)) for g, (low, high) in learned.ranges().items()}
    tenth = math.ceil(ITERATIONS / 10)
    ends = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    return Reconstruction({**ranges, **final}, ends)


def _run_rounded(graph: Graph, images: torch.Tensor, learned: _Learned) -> Logits:
    weights = [round_weight(w) for w in learned.weights()]
    limits: Ranges = learned.ranges()
    return run(graph, images, limits, weights, learned.biases())


def _shuffled(count: int, length: int) -> torch.Tensor:
    """Numbers below `count`, each once before any comes again."""
    generator = torch.Generator().manual_seed(_SEED)
    rounds = -(-length // count)
    return torch.cat([torch.randperm(count, generator=generator) for _ in range(rounds)])
