"""Each method of quantization does what it says, on a small network of random weights."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from quantize import METHODS, equalize, integer_file, methods, reconstruct, simulate
from quantize.augment import vary
from quantize.channels import Channels
from quantize.float_graph import FloatGraph
from quantize.learn import Learned
from quantize.loss import distillation_loss
from quantize.methods import input_range, quantize
from quantize.statistics import collect
from tests.conftest import Build
from tests.quantize.conftest import silent


def loss(graph: FloatGraph, build: Build, ranges: dict, images: list[torch.Tensor]) -> float:
    """What int8 costs on the photographs, against the float model as built."""
    limits = {g: (torch.tensor(low), torch.tensor(high)) for g, (low, high) in ranges.items()}
    weights = [simulate.round_weight(w) for w in graph.weights]
    batch, original = torch.cat(images), FloatGraph.parse(build.float_model)
    with torch.no_grad():
        rounded = simulate.run(graph, batch, limits, weights)
        return float(distillation_loss(rounded, simulate.run(original, batch), build.spec.num_bins))


def test_scaled_channels_change_nothing(graph: FloatGraph, images: list[torch.Tensor]) -> None:
    before = simulate.run(graph, images[0])
    channels = Channels(graph)
    factors = torch.exp(torch.randn(channels.count, generator=torch.Generator().manual_seed(1)))
    channels.scale(graph, factors)
    for name, values in simulate.run(graph, images[0]).items():
        torch.testing.assert_close(values, before[name], atol=1e-4, rtol=1e-4)


def test_added_channels_are_scaled_together(graph: FloatGraph) -> None:
    channels = Channels(graph)
    added = [op for op in graph.operators if op.kind == "ADD"]
    assert added
    for op in added:
        assert torch.equal(channels.of[op.inputs[0]], channels.of[op.inputs[1]])
    for tensor in (graph.input, *graph.outputs.values()):
        assert (channels.of[tensor] == channels.count).all(), "these may not be scaled"


def test_expected_cost_meets_the_measured_loss(
    build: Build,
    graph: FloatGraph,
    images: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One tensor rounded at a time, 100 times finer than int8, so that second order holds.

    Scores of 2 %, as most cells of a real network have, for p stands for p (1 - p).
    """
    for op in graph.convolutions:
        if op.outputs[0] in (graph.outputs[f"cls_{s}"] for s in build.spec.graph.strides):
            assert op.layer is not None
            graph.weights[op.layer] *= 0.1
            graph.biases[op.layer] = torch.full_like(graph.biases[op.layer], -4.0)
    graph.weights = [w.double() for w in graph.weights]
    graph.biases = [b.double() for b in graph.biases]
    images = [image.double() for image in images]
    seen = collect(graph, images, build.spec.num_bins, silent)

    def finely(x: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        step = 0.01 * (high - low) / simulate.STEPS
        return torch.round(x / step) * step

    monkeypatch.setattr(simulate, "round_activation", finely)
    batch = torch.cat(images)
    with torch.no_grad():
        exact = simulate.run(graph, batch)
    members = Counter(graph.scale_group[t] for t in graph.rounded)
    alone = [t for t in graph.rounded if members[graph.scale_group[t]] == 1]
    ratios = []
    for tensor in alone[::8]:
        below, high = seen.tensors[tensor].extreme.amax(1)
        low = -below
        with torch.no_grad():
            rounded = simulate.run(graph, batch, {graph.scale_group[tensor]: (low, high)})
        step = float(0.01 * (high - low) / simulate.STEPS)
        expected = step**2 / 24 * float(seen.tensors[tensor].curvature.sum())
        measured = float(distillation_loss(rounded, exact, build.spec.num_bins))
        ratios.append(measured / expected)
    # One random vector an image: single figures scatter, their mean less.
    assert len(ratios) > 10 and 0.5 < np.mean(ratios) < 2, ratios


@pytest.mark.full(reason="quantizes six times")
def test_each_method_earns_its_place(build: Build, images: list[torch.Tensor]) -> None:
    """On copies of the photographs that none of them saw."""
    generator = torch.Generator().manual_seed(1)
    unseen = [vary(torch.cat(images * 4), input_range(build.spec), generator)]
    losses: list[float] = []
    notes: list[Any] = []
    for chosen in ((), ("ranges", "equalize"), METHODS):
        graph = FloatGraph.parse(build.float_model)
        quantized = quantize(graph, build.spec, images, chosen)
        losses.append(loss(graph, build, quantized.ranges, unseen))
        notes.append(quantized.notes)
    assert losses[2] < losses[1] < losses[0], losses
    before, by_both = notes[1]["expected_cost"]
    # By ranges alone the loss falls on some processors and not on others, which round otherwise.
    by_ranges = quantize(FloatGraph.parse(build.float_model), build.spec, images, ("ranges",)).notes
    assert by_both < by_ranges["expected_cost"][1] < before  # type: ignore[index]


def test_reconstruction_is_repeatable(
    build: Build, images: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstruct, "ITERATIONS", 5)
    monkeypatch.setattr(equalize, "_ITERATIONS", 50)
    results = []
    for _ in range(2):
        graph = FloatGraph.parse(build.float_model)
        ranges = quantize(graph, build.spec, images).ranges
        results.append((graph.weights, ranges))
    (weights, ranges), (again, other) = results
    assert ranges == other
    assert all(torch.equal(a, b) for a, b in zip(weights, again, strict=True))


@pytest.mark.parametrize("last", [2.0, float("nan")])
def test_a_reconstruction_that_gains_nothing_is_left_out(
    build: Build, images: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch, last: float
) -> None:
    def spoil(graph: FloatGraph, *_: object, **__: object) -> Learned:
        graph.weights = [w * 0 for w in graph.weights]
        return Learned({}, (1.0, last))

    monkeypatch.setattr(methods, "reconstruct", spoil)
    graph = FloatGraph.parse(build.float_model)
    quantized = quantize(graph, build.spec, images, ("reconstruct",))
    assert quantized.notes["left_out"] == "reconstruct, which gained nothing"
    original = FloatGraph.parse(build.float_model)
    assert all(torch.equal(a, b) for a, b in zip(graph.weights, original.weights, strict=True))
    assert quantized.ranges


def test_input_means_the_pixel(build: Build) -> None:
    scale, zero_point = simulate.scale_and_zero_point(
        *(torch.tensor(limit) for limit in input_range(build.spec))
    )
    assert float(scale) == pytest.approx(1 / build.spec.input.raw_scale)
    assert int(zero_point) == build.spec.input.raw_offset - 128


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not matter how good ranges are."""
    monkeypatch.setattr(equalize, "_ITERATIONS", 50)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("factor", "bias", "reason"),
    [
        (0.0, 3.0, "all weights zero, the bias alone is left"),
        (1e-12, 3.0, "weights so small that the bias in their steps would not fit 32 bits"),
        (0.0, 0.0, "a channel that is never active"),
    ],
)
def test_degenerate_channels(
    build: Build,
    graph: FloatGraph,
    images: list[torch.Tensor],
    factor: float,
    bias: float,
    reason: str,
) -> None:
    graph.weights[1][2] *= factor
    graph.biases[1][2] = bias
    ranges = quantize(graph, build.spec, images, ("ranges", "equalize")).ranges
    model = integer_file.write(graph, ranges)
    for tensor in model.subgraphs[0].tensors:
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            scale = np.asarray(tensor.quantization.scale)
            assert (np.isfinite(scale) & (scale > 0)).all(), reason
    assert np.isfinite(loss(graph, build, ranges, images)), reason


@pytest.mark.usefixtures("hasty")
def test_photographs_of_one_colour(build: Build, graph: FloatGraph) -> None:
    """Nothing to see: the ranges are narrow, and still ranges."""
    flat = [torch.zeros(1, 3, build.spec.input.height, build.spec.input.width)] * 3
    ranges = quantize(graph, build.spec, flat, ("ranges", "equalize")).ranges
    assert all(low <= 0 < high - low for low, high in ranges.values())


class Spoiling:
    """Fine-tuning that goes wrong in both phases."""

    def prepare(self, graph: FloatGraph, *_: object) -> Learned:
        graph.weights = [w * 0 for w in graph.weights]
        return Learned({}, (1.0, float("nan")))

    def adapt(self, graph: FloatGraph, *_: object) -> Learned:
        graph.weights = [w * 0 for w in graph.weights]
        return Learned({}, (1.0, 2.0))


def test_fine_tuning_that_gains_nothing_is_left_out(
    build: Build, images: list[torch.Tensor]
) -> None:
    """Also where no other method is wanted."""
    graph = FloatGraph.parse(build.float_model)
    quantized = quantize(graph, build.spec, images, (), fine_tuning=Spoiling())
    assert quantized.notes["left_out"] == "qat, which gained nothing"
    assert "gained nothing" in str(quantized.notes["float_left_out"])
    original = FloatGraph.parse(build.float_model)
    assert all(torch.equal(a, b) for a, b in zip(graph.weights, original.weights, strict=True))
    assert quantized.ranges


@pytest.mark.parametrize(
    ("photographs", "expected", "reason"),
    [
        (100, 300, "as measured first"),
        (10, 300, "fewer do not learn less"),
        (1000, 949, "1,000 were measured to help"),
        (3056, 1658, "with the root of the number"),
    ],
)
def test_iterations_grow_with_the_photographs(photographs: int, expected: int, reason: str) -> None:
    assert reconstruct.iterations(photographs) == expected, reason


@pytest.mark.usefixtures("hasty")
def test_further_photographs_are_what_is_learned_from(
    build: Build, images: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once before any comes again; calibration's alone set the ranges."""
    seen: list[int] = []

    class Further(list[torch.Tensor]):
        def __getitem__(self, place):  # type: ignore[no-untyped-def]
            seen.append(place)
            return super().__getitem__(place)

    monkeypatch.setattr(reconstruct, "ITERATIONS", 4)
    graph = FloatGraph.parse(build.float_model)
    quantize(graph, build.spec, images, further=Further(images[:8]))
    assert len(seen) == 16 and sorted(seen[:8]) == sorted(seen[8:]) == list(range(8))
