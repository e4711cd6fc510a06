"""What the calibration photographs tell about each channel: its range, and what errors cost.

To second order an error e of one value costs e^2 / 2 times the value's curvature, which is
estimated by the Gauss-Newton matrix of the detection loss at the float network's own answer, with
one random vector an image (Hutchinson; for quantization: HAWQ, arXiv:1905.03696).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from quantize.graph import Graph
from quantize.loss import curvature_root
from quantize.simulate import run

BINS = 64  # Thresholds that a clipping error is known for, on either side of 0.
_SEED = 0

Progress = Callable[[int, int], None]  # How much is done, and of how much.


@dataclass(frozen=True)
class TensorStatistics:
    """One tensor; the first axis is the channel.

    low, high: smallest and largest value, 0 included. curvature: summed over cells, an image's
    mean. clip_low, clip_high: (C, BINS + 1), curvature times squared error when values beyond
    k / BINS of the extreme are clipped there.
    """

    low: torch.Tensor
    high: torch.Tensor
    curvature: torch.Tensor
    clip_low: torch.Tensor
    clip_high: torch.Tensor


@dataclass(frozen=True)
class Statistics:
    """tensors: of each rounded or pooled tensor; errors count where they are made.

    weights: of each layer, curvature (out, in), taps summed.
    """

    tensors: dict[int, TensorStatistics]
    weights: list[torch.Tensor]


def extremes(
    graph: Graph, images: Sequence[torch.Tensor], progress: Progress
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Smallest and largest value of each channel of each rounded or pooled tensor, 0 included."""
    seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    wanted = {*graph.rounded, *graph.pooled}

    def observe(tensor: int, value: torch.Tensor) -> None:
        if tensor in wanted:
            low, high = value.amin((0, 2, 3)).clamp(max=0), value.amax((0, 2, 3)).clamp(min=0)
            if tensor in seen:
                low = torch.minimum(low, seen[tensor][0])
                high = torch.maximum(high, seen[tensor][1])
            seen[tensor] = low, high

    with torch.no_grad():
        for i, image in enumerate(images):
            run(graph, image, observe=observe)
            progress(i + 1, len(images))
    return seen


def collect(
    graph: Graph, images: Sequence[torch.Tensor], num_bins: int, progress: Progress
) -> Statistics:
    """Two passes over the images, each (1, 3, H, W): extremes, then curvatures."""
    moments = {t: _Moments(*limits) for t, limits in extremes(graph, images, progress).items()}
    weights = [w.clone().requires_grad_() for w in graph.weights]
    summed = [torch.zeros(w.shape[:2], dtype=w.dtype) for w in weights]
    rounded = set(graph.rounded)
    generator = torch.Generator().manual_seed(_SEED)
    for i, image in enumerate(images):
        seen: dict[int, torch.Tensor] = {}

        def observe(tensor: int, value: torch.Tensor, seen: dict = seen) -> None:
            if tensor in rounded:
                value.retain_grad()
                seen[tensor] = value

        outputs = run(graph, image, weights=weights, observe=observe)
        roots = curvature_root(outputs, num_bins, generator)
        torch.autograd.backward(list(outputs.values()), [roots[name] for name in outputs])
        for tensor, value in seen.items():
            if value.grad is not None:
                moments[tensor].add(value.detach()[0], value.grad[0] ** 2)
        for total, weight in zip(summed, weights, strict=True):
            assert weight.grad is not None
            total += (weight.grad**2).sum((2, 3))
            weight.grad = None
        progress(i + 1, len(images))
    count = len(images)
    tensors = {tensor: m.statistics(count) for tensor, m in moments.items()}
    return Statistics(tensors, [total / count for total in summed])


class _Moments:
    """Sums of curvature * x^k, k = 0, 1, 2, in bins between 0 and either extreme."""

    def __init__(self, low: torch.Tensor, high: torch.Tensor) -> None:
        self.low, self.high = low, high
        self._sums = torch.zeros(3, len(low), 2, BINS, dtype=torch.float64)

    def add(self, value: torch.Tensor, curvature: torch.Tensor) -> None:
        channels = len(self.low)
        x = value.reshape(channels, -1)
        negative = x < 0
        extreme = torch.where(negative, self.low[:, None], self.high[:, None])
        place = (x / torch.where(extreme == 0, 1.0, extreme) * BINS).long().clamp_(0, BINS - 1)
        place += (torch.arange(channels)[:, None] * 2 + negative) * BINS
        flat, weight = place.flatten(), curvature.reshape(channels, -1).double()
        for power in range(3):
            counted = torch.bincount(flat, weight.flatten(), minlength=channels * 2 * BINS)
            self._sums[power] += counted.reshape(channels, 2, BINS)
            weight = weight * x

    def statistics(self, count: int) -> TensorStatistics:
        sums = self._sums / count
        return TensorStatistics(
            self.low,
            self.high,
            sums[0].sum((1, 2)).float(),
            _clip_cost(sums[:, :, 1], self.low),
            _clip_cost(sums[:, :, 0], self.high),
        )


def _clip_cost(sums: torch.Tensor, extreme: torch.Tensor) -> torch.Tensor:
    """Moments (3, C, BINS) of one side -> cost of clipping at each threshold, (C, BINS + 1)."""
    beyond = torch.zeros(3, len(extreme), BINS + 1, dtype=torch.float64)
    beyond[..., :-1] = sums.flip(2).cumsum(2).flip(2)
    threshold = extreme[:, None].double() * torch.arange(BINS + 1) / BINS
    cost = beyond[2] - 2 * threshold * beyond[1] + threshold**2 * beyond[0]
    return cost.clamp(min=0).float()
