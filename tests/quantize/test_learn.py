"""What learning may change, and what it must leave as it is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from quantize.float_graph import FloatGraph
from quantize.learn import (
    Ends,
    Learned,
    LossOf,
    Numbers,
    Objective,
    Schedule,
    _Offsets,
    _Run,
    learn,
)
from quantize.loss import distillation_loss
from quantize.scheme import Scheme
from quantize.simulate import STEPS, run
from tests.conftest import Build
from tests.quantize.conftest import silent


@pytest.fixture(scope="module")
def batch(images: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(images)


def train(
    build: Build, graph: FloatGraph, ranges: dict, batch: torch.Tensor, schedule: Schedule
) -> Learned:
    """Towards the answers of the network as built."""
    teacher = FloatGraph.parse(build.float_model)

    def objective(_: int) -> tuple[torch.Tensor, LossOf]:
        with torch.no_grad():
            wanted = run(teacher, batch)
        return batch, lambda outputs: distillation_loss(outputs, wanted, build.spec.num_bins)

    return learn(graph, ranges, objective, schedule, silent)


@pytest.mark.parametrize("rounding", [True, False])
def test_a_rate_of_zero_changes_nothing(
    build: Build, graph: FloatGraph, ranges: dict[int, Ends], batch: torch.Tensor, rounding: bool
) -> None:
    before = [w.clone() for w in (*graph.weights, *graph.biases)]
    learned = train(build, graph, ranges, batch, Schedule(1, 0.0, rounding))
    after = [*graph.weights, *graph.biases]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for group, ends in learned.ranges.items():
        assert ends == pytest.approx(ranges[group], rel=1e-5)


@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_are_rounded_in_steps_of_the_scheme(
    build: Build, ranges: dict[int, Ends], per_channel: bool
) -> None:
    """Whole steps of the largest weight's 127th, of each channel or of the whole layer."""
    scheme = Scheme("mine", per_channel=per_channel)
    graph = FloatGraph.parse(build.float_model, scheme)
    rounded = _Offsets(graph, ranges).numbers(rounding=True).weights
    for weight, exact in zip(rounded, graph.weights, strict=True):
        peaks = exact.abs().amax((1, 2, 3), keepdim=True)
        steps = 127 * weight.detach() / (peaks if per_channel else peaks.max())
        assert (steps - steps.round()).abs().max() < 1e-3
        assert steps.abs().max() < 127.001


def test_ranges_keep_the_sides_of_zero_and_the_slopes(
    build: Build, graph: FloatGraph, ranges: dict[int, Ends], batch: torch.Tensor
) -> None:
    """However fast they learn."""
    learned = train(build, graph, ranges, batch, Schedule(3, 5.0)).ranges
    assert any(learned[g] != pytest.approx(ranges[g], rel=0.02) for g in ranges)
    assert all(low <= 0 < high for low, high in learned.values())
    steps = {g: (high - low) / STEPS for g, (low, high) in learned.items()}
    for op in graph.operators:
        if op.kind == "LEAKY_RELU":
            source, target = (steps[graph.scale_group[t]] for t in (op.inputs[0], op.outputs[0]))
            assert 25.6 * source / target == pytest.approx(round(25.6 * source / target), abs=1e-3)


class Interrupted(Exception):
    """What a test throws into a run."""


def towards(build: Build, batch: torch.Tensor, stops: int = -1) -> Objective:
    """Twice the answers of the network as built; ends at an iteration on request."""
    teacher = FloatGraph.parse(build.float_model)

    def objective(iteration: int) -> tuple[torch.Tensor, LossOf]:
        if iteration == stops:
            raise Interrupted
        with torch.no_grad():
            wanted = {name: 2 * values for name, values in run(teacher, batch).items()}
        return batch, lambda outputs: distillation_loss(outputs, wanted, build.spec.num_bins)

    return objective


@pytest.mark.parametrize(
    ("said", "best", "gained", "reason"),
    [
        ((5.0, 7.0, 6.0), 1, True, "the best epoch is kept, not the last"),
        ((5.0, 6.0, 7.0), 2, True, "here it is the last"),
        ((5.0, 4.0, 5.0), 0, False, "as good as at the start is no gain"),
        ((5.0, math.nan, 4.0), 0, False, "what is no number is no gain"),
        ((math.nan, 4.0, 6.0), 0, False, "nothing to compare with"),
    ],
)
def test_the_judge_chooses(
    build: Build,
    graph: FloatGraph,
    ranges: dict[int, Ends],
    batch: torch.Tensor,
    said: tuple[float, ...],
    best: int,
    gained: bool,
    reason: str,
) -> None:
    seen: list[list[torch.Tensor]] = []

    def judge(numbers: Numbers) -> float:
        seen.append([w.clone() for w in numbers.weights])
        return said[len(seen) - 1]

    schedule = Schedule(4, 0.3, rounding=False, average=0.5, epoch=2)
    learned = learn(graph, ranges, towards(build, batch), schedule, silent, judge)
    assert learned.gained == gained, reason
    assert learned.curve == pytest.approx(said, nan_ok=True)
    kept = [all(map(torch.equal, graph.weights, weights)) for weights in seen]
    assert kept == [place == best for place in range(3)], reason


def test_goes_on_after_a_kill(
    build: Build,
    graph: FloatGraph,
    ranges: dict[int, Ends],
    batch: torch.Tensor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the same result, and from where it was."""
    monkeypatch.setattr("quantize.learn._SAVED_EVERY", 2)
    asked: list[int] = []

    def judge(_: Numbers) -> float:
        asked.append(0)
        return float(len(asked))

    def go(graph: FloatGraph, saved: Path | None, stops: int = -1) -> Learned:
        schedule = Schedule(7, 0.1, warm_up=2, average=0.9, epoch=3)
        objective = towards(build, batch, stops)
        return learn(graph, ranges, objective, schedule, silent, judge, saved)

    whole = FloatGraph.parse(build.float_model)
    expected, times = go(whole, None), len(asked)
    asked.clear()
    with pytest.raises(Interrupted):
        go(graph, tmp_path / "saved.pt", stops=5)
    assert len(asked) == 2, "at the start, and after the first epoch"
    found = go(FloatGraph.parse(build.float_model), tmp_path / "saved.pt")
    assert len(asked) == times
    assert found == expected
    again = FloatGraph.parse(build.float_model)
    go(again, tmp_path / "saved.pt")
    assert all(map(torch.equal, again.weights, whole.weights)), "also when it was at its end"


@pytest.mark.parametrize(
    ("schedule", "weights", "biases", "reason"),
    [
        (Schedule(100, 0.2, rounding=False), 0.2, 0.2, "Adam's first step is the rate"),
        (Schedule(100, 0.2, rounding=False, warm_up=3), 0.05, 0.05, "a fourth, to begin with"),
        (Schedule(100, 0.2, rounding=False, bias_rate=0.1), 0.2, 0.02, "biases move less"),
    ],
)
def test_rates(
    build: Build,
    graph: FloatGraph,
    ranges: dict[int, Ends],
    batch: torch.Tensor,
    schedule: Schedule,
    weights: float,
    biases: float,
    reason: str,
) -> None:
    """In grid steps, of the farthest that moved."""
    offsets = _Offsets(graph, ranges)
    learning = _Run(offsets, schedule, None)
    images, loss_of = towards(build, batch)(0)
    learning.step(loss_of(run(graph, images, None, *offsets.numbers(False)[:2])))
    moved = [float(o.detach().abs().max()) for o in (offsets._weights[0], offsets._biases[0])]
    assert moved == pytest.approx([weights, biases], rel=1e-3), reason
