"""Weights land on their grids, and layers give what they gave."""

from __future__ import annotations

import itertools

import pytest
import torch

from quantize import rounding
from quantize.graph import Graph
from quantize.loss import distillation_loss
from quantize.rounding import round_weights
from quantize.scheme import SCHEMES
from quantize.simulate import round_weight, run, weight_step
from tests.conftest import Build
from tests.quantize.conftest import silent


@pytest.mark.parametrize(
    ("name", "reason"),
    [("int8", "a step a channel"), ("int8-per-tensor", "a step a layer")],
)
def test_weights_lie_on_the_steps_they_had(
    name: str, reason: str, build: Build, images: list[torch.Tensor]
) -> None:
    scheme = SCHEMES[name]
    graph, original = (Graph.parse(build.float_model, scheme) for _ in range(2))
    round_weights(graph, images, silent)
    for weight, before in zip(graph.weights, original.weights, strict=True):
        step = weight_step(before, scheme.per_channel)
        torch.testing.assert_close(weight_step(weight, scheme.per_channel), step, msg=reason)
        steps = weight / step
        torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0, msg=reason)


def test_loses_less_than_nearest_rounding(build: Build, images: list[torch.Tensor]) -> None:
    graph, original = (Graph.parse(build.float_model) for _ in range(2))
    round_weights(graph, images, silent)
    batch = torch.cat(images)
    nearest = [round_weight(w) for w in original.weights]
    with torch.no_grad():
        wanted = run(original, batch)
        by_nearest = distillation_loss(
            run(original, batch, None, nearest), wanted, build.spec.num_bins
        )
        by_layer = distillation_loss(run(graph, batch), wanted, build.spec.num_bins)
    assert by_layer < 0.7 * by_nearest


def test_comes_near_the_best_of_all_roundings() -> None:
    """Random layers of four correlated inputs, small enough to try every neighbour."""
    generator = torch.Generator().manual_seed(0)
    total = {"best": 0.0, "layer": 0.0, "nearest": 0.0}
    for _ in range(40):
        mixed = torch.randn(4, 4, generator=generator, dtype=torch.float64)
        inputs = mixed @ torch.randn(4, 200, generator=generator, dtype=torch.float64)
        inputs = torch.cat([inputs, torch.ones(1, 200, dtype=torch.float64)])
        weight = torch.randn(1, 4, 1, 1, generator=generator)
        weight[:, 0] = 60.0  # Sets a coarse step.
        step = float(weight_step(weight))
        below = (weight.flatten() / step + 1e-4).floor()[1:]

        def error(weights: torch.Tensor, inputs: torch.Tensor = inputs) -> float:
            """Least squares over the bias: what is left when the mean is taken out."""
            left = weights.double().flatten() @ inputs[:4]
            return float((left - left.mean()).square().sum())

        rounded, _ = rounding._round_layer(
            weight, torch.zeros(1), (inputs @ inputs.T)[None], per_channel=True
        )
        rest = weight.flatten()[1:]
        tried = [
            torch.cat([weight.new_zeros(1), (below + torch.tensor(up)) * step - rest])
            for up in itertools.product((-1.0, 0.0, 1.0, 2.0), repeat=3)
        ]
        total["best"] += min(error(t) for t in tried)
        total["layer"] += error(rounded - weight)
        total["nearest"] += error(round_weight(weight) - weight)
    best, nearest = total["best"], total["nearest"]
    assert best <= total["layer"] < best + 0.5 * (nearest - best), total


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("black", "inputs that are the same all over cannot be told from the bias"),
        ("no weights", "a channel of zeros has nothing to round"),
        ("never active", "a channel that is always 0 gives singular moments"),
    ],
)
def test_degenerate_layers(
    case: str, reason: str, build: Build, images: list[torch.Tensor]
) -> None:
    graph = Graph.parse(build.float_model)
    if case == "black":
        images = [torch.full_like(images[0], -2.0)]
    elif case == "no weights":
        graph.weights[1] = torch.zeros_like(graph.weights[1])
    else:
        graph.weights[0] = graph.weights[0].clone()
        graph.weights[0][0], graph.biases[0] = 0, torch.zeros_like(graph.biases[0])
    round_weights(graph, images, silent)
    for values in (*graph.weights, *graph.biases):
        assert values.isfinite().all(), reason
    if case == "no weights":
        assert not graph.weights[1].any(), reason
