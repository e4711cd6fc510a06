"""Choose the scales of channels and the ranges of tensors so that int8 rounding costs least.

Ranges: a narrower range rounds finer and clips more; the best is chosen by cost instead of by
extremes (as Banner et al., arXiv:1810.05723, here weighed by what an error costs).

Channels: a tensor has one scale, set by its loudest channel; quiet ones drown in its rounding.
Where only positively homogeneous operators lie between convolutions, a channel can be multiplied
by any s > 0 where it is made and divided by s where it is read, exactly (cross-layer
equalization; Nagel et al., arXiv:1906.04721, section 4.1). Channels are followed through
concatenations, slices, shuffles, pools and resizes; channels that are added share one s.

Both are chosen together, by gradient descent on the expected cost of rounding all activations
and weights, to second order (see `statistics`). No network runs meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from quantize.channels import Channels
from quantize.clipping import BINS, WIDEST
from quantize.float_graph import FloatGraph
from quantize.simulate import STEPS, WEIGHT_PEAK
from quantize.statistics import Progress, Statistics

_ITERATIONS = 500
_RATE = 0.03
_SMALLEST = 1e-9
_NARROWEST_LOG = -4.0
_WIDER = 256


@dataclass(frozen=True)
class Choice:
    """factor: of each group of channels. ranges: (low, high) of each group of tensors, for the
    graph scaled by `factor`. cost: expected loss by rounding, before and after."""

    factor: torch.Tensor
    ranges: dict[int, tuple[float, float]]
    cost: tuple[float, float]


def choose(
    graph: FloatGraph,
    channels: Channels,
    statistics: Statistics,
    equalize: bool,
    clip: bool,
    progress: Progress,
) -> Choice:
    """The scales of channels (1 unless `equalize`) and the ranges (extremes unless `clip`)."""
    cost = _Cost(graph, channels, statistics)
    log_factor = torch.zeros(channels.count, requires_grad=True)
    log_width = torch.zeros(2, len(cost.groups), requires_grad=True)
    before = float(cost.total(log_factor, cost.limits(log_factor, log_width)).detach())
    free = [p for p, wanted in ((log_factor, equalize), (log_width, clip)) if wanted]
    if free:
        optimizer = torch.optim.Adam(free, lr=_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _ITERATIONS)
        for i in range(_ITERATIONS):
            optimizer.zero_grad()
            limits = cost.limits(log_factor, log_width)
            cost.total(log_factor, limits).log().backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                log_width.clamp_(_NARROWEST_LOG, math.log(WIDEST))
            progress(i + 1, _ITERATIONS)
    with torch.no_grad():
        limits = cost.limits(log_factor, log_width)
        after = float(cost.total(log_factor, limits))
    ranges = {
        group: (-low, high) for group, low, high in zip(cost.groups, *limits.tolist(), strict=True)
    }
    return Choice(log_factor.detach().exp(), ranges, (before, after))


class _Cost:
    """The expected cost of rounding as a function of scales and ranges."""

    def __init__(self, graph: FloatGraph, channels: Channels, statistics: Statistics) -> None:
        tensors = list(statistics.tensors)
        self._graph, self._channels = graph, channels
        self._weight_curvature = statistics.weights
        self._weight_peak = [w.abs().amax((2, 3)) for w in graph.weights]
        self.groups = sorted({graph.scale_group[t] for t in tensors})
        place = {group: i for i, group in enumerate(self.groups)}

        # One entry for each channel of each tensor.
        sizes = torch.tensor([len(statistics.tensors[t].curvature) for t in tensors])
        self._group = torch.tensor([place[graph.scale_group[t]] for t in tensors])
        self._group = self._group.repeat_interleave(sizes)
        self._slot = torch.cat([channels.of[t] for t in tensors])
        every = [statistics.tensors[t] for t in tensors]
        self._curvature = torch.cat([s.curvature for s in every])
        # Sides go first: below 0, as positive numbers, and above.
        self._extreme = torch.cat([s.extreme for s in every], 1)
        self._clip = torch.cat([s.clip for s in every], 1)
        dropped = torch.tensor([t in graph.pooled_only for t in tensors]).repeat_interleave(sizes)
        self._needed = torch.where(dropped, torch.zeros(()), self._extreme)

    def limits(self, log_factor: torch.Tensor, log_width: torch.Tensor) -> torch.Tensor:
        """-low and high of each group, (2, groups): the extremes times exp(`log_width`)."""
        scaled = self._needed * self._factor(log_factor)
        whole = torch.zeros(2, len(self.groups))
        index = self._group.expand(2, -1)
        whole = whole.scatter_reduce(1, index, scaled, "amax", include_self=True)
        narrowed = whole * log_width.exp()
        # A tensor that is always 0 still needs a scale.
        return torch.stack([narrowed[0], narrowed[1].clamp(min=_SMALLEST)])

    def total(self, log_factor: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
        """Expected loss by rounding and clipping activations and rounding weights."""
        factor = self._factor(log_factor)
        step = (limits.sum(0) / STEPS)[self._group]
        rounding = (step**2 * self._curvature / factor**2).sum() / 12
        if self._graph.scheme.wide:  # 16 bits round next to nothing.
            rounding = rounding / _WIDER**2
        share = (limits[:, self._group] / (factor * self._extreme.clamp(min=_SMALLEST))) * BINS
        share = share.clamp(max=BINS * WIDEST - 1e-3)
        below = share.detach().long()
        part = share - below
        tables = self._clip
        first = tables.gather(2, below[..., None])[..., 0]
        second = tables.gather(2, below[..., None] + 1)[..., 0]
        clipping = (first * (1 - part) + second * part).sum()
        return (rounding + clipping + self._weights(log_factor)) / 2

    def _weights(self, log_factor: torch.Tensor) -> torch.Tensor:
        padded = torch.cat([log_factor, log_factor.new_zeros(1)]).exp()
        total = torch.zeros(())
        for op in self._graph.convolutions:
            assert op.layer is not None
            gain = self._channels.gain(op, padded)
            peak = (self._weight_peak[op.layer] * gain).amax(1, keepdim=True)
            if not self._graph.scheme.per_channel:
                peak = peak.amax(0, keepdim=True)
            step = peak / WEIGHT_PEAK
            total = total + (step**2 * self._weight_curvature[op.layer] / gain**2).sum() / 12
        return total

    def _factor(self, log_factor: torch.Tensor) -> torch.Tensor:
        return torch.cat([log_factor, log_factor.new_zeros(1)]).exp()[self._slot]
