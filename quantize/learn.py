"""Learning a graph's weights, biases and ranges, with int8 rounding in place or in float.

Everything learns in units of its own grid: a weight in steps of its channel, a bias and a limit in
steps of their tensor. One rate then suits all, whatever the network. Ranges learn as in LSQ+
(arXiv:2004.09576), weights through their rounding (straight-through, arXiv:1308.3432).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from quantize.float_graph import FloatGraph
from quantize.loss import Logits
from quantize.simulate import STEPS, Ranges, round_weight, run, weight_step
from quantize.slopes import exact
from quantize.statistics import Progress
from runtime.files import writing

Ends = tuple[float, float]
LossOf = Callable[[Logits], torch.Tensor]
# Number of the iteration -> pixels as the graph takes them, and the loss of its logits.
Objective = Callable[[int], tuple[torch.Tensor, LossOf]]


class Numbers(NamedTuple):
    """As `simulate.run` takes them. ranges: None in float."""

    weights: list[torch.Tensor]
    biases: list[torch.Tensor]
    ranges: Ranges | None


# What a graph with such numbers is worth; more is better.
Judge = Callable[[Numbers], float]

_SAVED_EVERY = 100  # Iterations.
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Schedule:
    """rate: of Adam at its peak, in grid steps; it falls to 0 along a cosine.

    rounding: int8 rounding in place; without it ranges only set the units. bias_rate: of biases, as
    a share of `rate`. warm_up: iterations in which the rate rises to its peak. average: decay of
    the moving average, which is what is kept; 0 for the last values. epoch: iterations between two
    judgements. device: where it runs.
    """

    iterations: int
    rate: float
    rounding: bool = True
    bias_rate: float = 1.0
    warm_up: int = 0
    average: float = 0.0
    epoch: int = 0
    device: torch.device = _CPU

    def decay(self, iteration: int) -> float:
        """Of the average, which is short at first."""
        return min(self.average, (1 + iteration) / (10 + iteration))


@dataclass(frozen=True)
class Learned:
    """ranges: as learned. loss: mean over the first and the last tenth of iterations. curve: what
    the judge said before the first epoch and after each; the best of them was kept."""

    ranges: dict[int, Ends]
    loss: Ends
    curve: tuple[float, ...] = ()

    @property
    def gained(self) -> bool:
        """By the judge where there is one, else by the loss; not where either is no number."""
        if self.curve:
            return any(value > self.curve[0] for value in self.curve[1:])
        return self.loss[1] < self.loss[0]


class _Offsets:
    """Weights, biases and limits as offsets in steps from where they start."""

    def __init__(
        self, graph: FloatGraph, ranges: dict[int, Ends], device: torch.device = _CPU
    ) -> None:
        self._graph = graph
        self._groups = [g for g in ranges if g != graph.scale_group[graph.input]]
        self._limits = torch.tensor([ranges[g] for g in self._groups], device=device)
        self._step = (self._limits[:, 1] - self._limits[:, 0]) / STEPS
        place = {group: i for i, group in enumerate(self._groups)}
        self._starts = [
            [tensor.to(device) for tensor in tensors] for tensors in (graph.weights, graph.biases)
        ]
        self._bias_steps = [
            self._step[place[graph.scale_group[op.outputs[0]]]] for op in graph.convolutions
        ]
        per_channel = graph.scheme.per_channel
        self._weight_steps = [weight_step(w, per_channel) for w in self._starts[0]]
        self._weights, self._biases = (
            [torch.zeros_like(tensor, requires_grad=True) for tensor in tensors]
            for tensors in self._starts
        )
        self._ranges = torch.zeros_like(self._limits, requires_grad=True)

    def all(self) -> list[torch.Tensor]:
        return [*self._weights, *self._biases, self._ranges]

    def groups(self, schedule: Schedule) -> list[dict[str, Any]]:
        """Of an optimizer."""
        rate = schedule.rate
        return [
            {"params": [*self._weights, self._ranges], "lr": rate},
            {"params": self._biases, "lr": rate * schedule.bias_rate},
        ]

    @torch.no_grad()
    def set(self, values: list[torch.Tensor]) -> None:
        for own, value in zip(self.all(), values, strict=True):
            own.copy_(value)

    def weights(self) -> list[torch.Tensor]:
        parts = zip(self._starts[0], self._weight_steps, self._weights, strict=True)
        return [w + step * offset for w, step, offset in parts]

    def biases(self) -> list[torch.Tensor]:
        parts = zip(self._starts[1], self._bias_steps, self._biases, strict=True)
        return [b + step * offset for b, step, offset in parts]

    def ranges(self) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        limits = self._limits + self._step[:, None] * self._ranges
        # 0 stays inside, and the range does not vanish.
        low, high = limits[:, 0].clamp(max=0), torch.maximum(limits[:, 1], self._step)
        return exact(self._graph, {g: (low[i], high[i]) for i, g in enumerate(self._groups)})

    def numbers(self, rounding: bool) -> Numbers:
        """As they are now, rounded or not."""
        weights, scheme = self.weights(), self._graph.scheme
        if not rounding:
            return Numbers(weights, self.biases(), None)
        limits: Ranges | None = None if scheme.wide else self.ranges()
        rounded = [round_weight(w, scheme.per_channel) for w in weights]
        return Numbers(rounded, self.biases(), limits)


@dataclass
class _State:
    """How far learning has come. average, best: offsets."""

    average: list[torch.Tensor]
    best: list[torch.Tensor]
    losses: list[float] = field(default_factory=list)
    curve: list[float] = field(default_factory=list)


class _Run:
    """One run of `learn`, which can be saved and gone on with."""

    def __init__(self, offsets: _Offsets, schedule: Schedule, judge: Judge | None) -> None:
        self.offsets, self.schedule, self.judge = offsets, schedule, judge
        self.optimizer = torch.optim.Adam(offsets.groups(schedule), lr=schedule.rate)
        self.rates = _rates(self.optimizer, schedule)
        start = [value.detach().clone() for value in offsets.all()]
        self.state = _State(start, [value.clone() for value in start])

    def step(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.rates.step()
        keep = self.schedule.decay(len(self.state.losses))
        with torch.no_grad():
            for mean, value in zip(self.state.average, self.offsets.all(), strict=True):
                mean.lerp_(value, 1 - keep)
        self.state.losses.append(float(loss.detach()))

    @torch.no_grad()
    def ask(self) -> None:
        """The judge, who sees the average."""
        assert self.judge is not None
        now = [value.detach().clone() for value in self.offsets.all()]
        self.offsets.set(self.state.average)
        value = self.judge(self.offsets.numbers(self.schedule.rounding))
        self.offsets.set(now)
        better = value > max(self.state.curve, default=-math.inf)
        self.state.curve.append(value)
        if better:
            self.state.best = [value.clone() for value in self.state.average]

    def choose(self) -> None:
        """What is kept: the best, or the average, or what is there."""
        if self.judge is not None:
            self.offsets.set(self.state.best)
        elif self.schedule.average:
            self.offsets.set(self.state.average)

    def ends(self) -> Ends:
        """Mean loss over the first and the last tenth of iterations."""
        losses = self.state.losses
        tenth = math.ceil(len(losses) / 10)
        return sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth

    def save(self, path: Path) -> None:
        content = {
            **vars(self.state),
            "now": [value.detach() for value in self.offsets.all()],
            "optimizer": self.optimizer.state_dict(),
            "rates": self.rates.state_dict(),
        }
        with writing(path) as temporary:
            torch.save(content, temporary)

    def load(self, path: Path) -> None:
        content = torch.load(path, map_location=self.schedule.device, weights_only=True)
        self.offsets.set(content["now"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.rates.load_state_dict(content["rates"])
        self.state = _State(**{name: content[name] for name in vars(self.state)})


def _rates(optimizer: torch.optim.Optimizer, schedule: Schedule) -> Any:
    schedulers = torch.optim.lr_scheduler
    parts: list[Any] = [schedulers.CosineAnnealingLR(optimizer, schedule.iterations)]
    if steps := schedule.warm_up:
        parts.append(schedulers.LinearLR(optimizer, 1 / (steps + 1), total_iters=steps))
    return schedulers.ChainedScheduler(parts)


def learn(
    graph: FloatGraph,
    ranges: dict[int, Ends],
    objective: Objective,
    schedule: Schedule,
    progress: Progress,
    judge: Judge | None = None,
    saved: Path | None = None,
) -> Learned:
    """Train the graph's weights and biases in place; returns the ranges learned with them.

    judge: chooses between the start and the end of each epoch; without it the end counts. saved:
    where a run is kept until it is done, to go on with after it was interrupted.
    """
    offsets = _Offsets(graph, ranges, schedule.device)
    learning = _Run(offsets, schedule, judge)
    if saved is not None and saved.is_file():
        learning.load(saved)
    elif judge is not None:
        learning.ask()
    for i in range(len(learning.state.losses), schedule.iterations):
        images, loss_of = objective(i)
        numbers = offsets.numbers(schedule.rounding)
        outputs = run(graph, images.to(schedule.device), numbers.ranges, *numbers[:2])
        learning.step(loss_of(outputs))
        done, last = i + 1, i + 1 == schedule.iterations
        progress(done, schedule.iterations)
        if judge is not None and (done % schedule.epoch == 0 or last):
            learning.ask()
        if saved is not None and (done % _SAVED_EVERY == 0 or last):
            learning.save(saved)
    learning.choose()
    with torch.no_grad():
        graph.weights, graph.biases = (
            [value.cpu() for value in values] for values in (offsets.weights(), offsets.biases())
        )
        final = {g: (float(low), float(high)) for g, (low, high) in offsets.ranges().items()}
    return Learned({**ranges, **final}, learning.ends(), tuple(learning.state.curve))
