"""What learning may change, and what it must leave as it is."""

from __future__ import annotations

import pytest
import torch

from quantize.float_graph import FloatGraph
from quantize.learn import Ends, Learned, LossOf, Schedule, learn
from quantize.loss import distillation_loss
from quantize.methods import quantize
from quantize.simulate import STEPS, run
from tests.conftest import Build
from tests.quantize.conftest import silent


@pytest.fixture(scope="module")
def batch(images: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(images)


@pytest.fixture
def ranges(build: Build, graph: FloatGraph, images: list[torch.Tensor]) -> dict[int, Ends]:
    return quantize(graph, build.spec, images, ("ranges",)).ranges


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
