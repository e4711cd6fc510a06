from __future__ import annotations

import dataclasses
import functools
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

import convert.lowering
from convert.lowering import APPROXIMATE, REWRITES, Lowered, lower, trace
from convert.lowering.base import layers
from convert.lowering.raw_pixels import BorderPaddedConv2d, grey
from convert.network import NanoDet
from convert.parity import TOLERANCE, largest_difference
from data import locate
from quantize import INT8_REWRITES
from quantize.targets import SWITCHABLE
from runtime.errors import GateFailed
from runtime.preprocess import to_canvas
from runtime.spec import ModelSpec
from tests.conftest import photo, small
from tests.random_network import random_network


@pytest.fixture(scope="module")
def network(tiny: ModelSpec) -> NanoDet:
    return random_network(tiny)


_CHOICES: list[tuple[str, tuple[int, ...]]] = [
    ("nanodet-m-0.5x", (8, 16, 32)),
    ("nanodet-m-0.5x", (32,)),
    ("nanodet-m-0.5x", (16, 32)),
    ("nanodet-m-0.5x", (8,)),
    ("nanodet-plus-m-320", (8, 16, 32, 64)),
    ("nanodet-plus-m-320", (64,)),
]
_SIZES = [
    (96, 64, "3 cells at stride 32, so 2 at stride 64"),
    (160, 32, "one cell high"),
    (160, 160, "5 cells at stride 32, so 3 at stride 64"),
]
_FEWER = pytest.mark.full(reason="at other sizes all strides stand for some of them")


@pytest.mark.parametrize(
    ("name", "strides", "width", "height", "reason"),
    [
        pytest.param(
            *choice, *size, marks=[_FEWER] if size != _SIZES[0] and len(choice[1]) < 3 else []
        )
        for choice in _CHOICES
        for size in _SIZES
    ],
)
def test_every_rewrite_is_exact(
    name: str, strides: tuple[int, ...], width: int, height: int, reason: str
) -> None:
    spec = small(locate.model_spec(name), width, height).with_strides(strides)
    canvas, _ = to_canvas(photo(8, 200, 150), spec.input)
    lowered, reports = lower(random_network(spec), spec, canvas)
    assert [r.name for r in reports] == list(REWRITES)
    for report in reports:
        assert report.largest_difference < 1e-9 or report.name in APPROXIMATE, report
    assert lowered.spec.graph.strides == strides
    assert lowered.spec.graph.raw_pixels and lowered.spec.graph.rotated_180


_MIDDLE = pytest.mark.full(reason="one stride and all of them stand for those between")


@pytest.mark.parametrize("name", [n for n in SWITCHABLE if n in REWRITES])
@pytest.mark.parametrize(
    "strides",
    [(32,), pytest.param((16, 32), marks=_MIDDLE), pytest.param((16,), marks=_MIDDLE), (8, 16, 32)],
)
def test_each_rewrite_can_be_left_out(
    tiny: ModelSpec, network: NanoDet, name: str, strides: tuple[int, ...]
) -> None:
    spec = tiny.with_strides(strides)
    canvas, _ = to_canvas(photo(8, 200, 150), spec.input)
    whole = _whole(network, spec)
    without, reports = lower(network, spec, canvas, [n for n in REWRITES if n != name])
    assert largest_difference(whole.run(canvas), without.run(canvas)) < TOLERANCE
    assert all(r.largest_difference < 1e-9 for r in reports if r.exact)
    assert without.module.code != whole.module.code or not _applies(name, strides)


@functools.cache
def _whole(network: NanoDet, spec: ModelSpec) -> Lowered:
    """With all rewrites."""
    return lower(network, spec, to_canvas(photo(8, 200, 150), spec.input)[0])[0]


def _applies(name: str, strides: tuple[int, ...]) -> bool:
    """The neck halves only where it is not narrowed, and is narrowed without stride 8."""
    fine = strides[0] == 8
    return {"narrow_neck": not fine, "halve_by_mean": fine}.get(name, True)


def test_every_name_that_can_be_switched_off_is_a_rewrite() -> None:
    assert set(SWITCHABLE) <= {*REWRITES, *INT8_REWRITES}


@pytest.mark.parametrize("name", ["nanodet-m-0.5x", "nanodet-plus-m-320"])
def test_fewer_classes_are_rows_of_the_whole(name: str) -> None:
    whole = small(locate.model_spec(name), 96, 64)
    chosen = whole.with_classes(("car", "person", "zebra"))
    assert chosen.classes == ("person", "car", "zebra"), "in the network's order"
    canvas, _ = to_canvas(photo(8, 200, 150), whole.input)
    network = random_network(whole)
    every, few = (lower(network, s, canvas)[0].run(canvas) for s in (whole, chosen))
    ids = [whole.class_names.index(c) for c in chosen.classes]
    for stride in whole.graph.strides:
        np.testing.assert_allclose(
            few[f"cls_{stride}"], every[f"cls_{stride}"][..., ids], atol=1e-5
        )
        np.testing.assert_allclose(few[f"reg_{stride}"], every[f"reg_{stride}"], atol=1e-5)


def test_all_but_the_border_against_the_network_as_trained(
    tiny: ModelSpec, network: NanoDet
) -> None:
    """With the border's grey at the mean colour, the whole lowering is exact end to end."""
    grey = dataclasses.replace(tiny.input, mean=(115.0, 115.0, 115.0))
    spec = dataclasses.replace(tiny, input=grey)
    canvas, _ = to_canvas(photo(9, 96, 64), spec.input)
    lowered, _ = lower(network, spec, canvas)
    other, _ = to_canvas(photo(10, 50, 64), spec.input)
    plain = trace(network, spec).run(other)
    assert largest_difference(plain, lowered.run(other)) < TOLERANCE


@pytest.mark.parametrize(
    ("mean", "std", "expected", "reason"),
    [
        ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), 115, "the official normalisation"),
        ((0, 0, 0), (255, 255, 255), 0, "pixels from 0 to 1"),
        ((255, 255, 255), (57, 57, 57), 255, "white is 0"),
        ((127.5, 127.5, 127.5), (128, 128, 128), 115, "0.1 of a deviation off is near"),
        ((127.5, 127.5, 127.5), (40, 40, 40), 128, "0.3 of a deviation off is not"),
        ((0, 200, 200), (1, 100, 100), 0, "the narrow channel counts most"),
        ((-40, -40, -40), (255, 255, 255), 0, "int8 holds no pixel below 0"),
    ],
)
def test_grey(
    tiny: ModelSpec,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    expected: int,
    reason: str,
) -> None:
    assert grey(dataclasses.replace(tiny.input, mean=mean, std=std)) == expected, reason


@pytest.mark.parametrize(("mean", "std"), [(0.0, 255.0), (255.0, 57.0), (20.0, 30.0)])
def test_a_normalisation_of_ones_own_is_exact(
    tiny: ModelSpec, network: NanoDet, mean: float, std: float
) -> None:
    """One mean for all channels is the border's grey, so nothing at all changes."""
    own = dataclasses.replace(tiny.input, mean=(mean,) * 3, std=(std,) * 3)
    spec = dataclasses.replace(tiny, input=own)
    canvas, _ = to_canvas(photo(8, 200, 150), spec.input)
    lowered, reports = lower(network, spec, canvas)
    assert lowered.spec.input.raw_offset == round(mean)
    assert max(r.largest_difference for r in reports) < 1e-9
    other, _ = to_canvas(photo(10, 50, 64), spec.input)
    plain = trace(network, spec).run(other)
    assert largest_difference(plain, lowered.run(other)) < TOLERANCE


def test_means_too_far_apart_stop_the_build(tiny: ModelSpec, network: NanoDet) -> None:
    """No single grey pads blue, green and red alike."""
    apart = dataclasses.replace(tiny.input, mean=(0.0, 127.0, 255.0), std=(5.0, 5.0, 5.0))
    spec = dataclasses.replace(tiny, input=apart)
    canvas, _ = to_canvas(photo(8, 200, 150), spec.input)
    with pytest.raises(GateFailed, match=r"grey_border changes the logits by .* 0, 127, 255"):
        lower(network, spec, canvas)


def test_grey_border_changes_the_border_alone(tiny: ModelSpec) -> None:
    generator = torch.Generator().manual_seed(1)
    conv = nn.Conv2d(3, 4, 3, 2, padding=1)
    nn.init.normal_(conv.weight, generator=generator)
    x = torch.randn(1, 3, 8, 8, generator=generator)
    border = torch.tensor([0.3, -0.2, 0.1])
    padded = torch.empty(1, 3, 10, 10)
    padded[:] = border.view(1, 3, 1, 1)
    padded[:, :, 1:-1, 1:-1] = x
    expected = nn.functional.conv2d(padded, conv.weight, conv.bias, stride=2)
    found = BorderPaddedConv2d(conv, border)(x)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found[:, :, 1:, 1:], conv(x)[:, :, 1:, 1:])


def test_what_the_lowered_graph_holds(
    tiny: ModelSpec, network: NanoDet, canvas: np.ndarray
) -> None:
    spec = tiny.with_strides((32,))
    module = lower(network, spec, canvas)[0].module
    kinds = [type(part) for part in module.modules()]
    assert nn.BatchNorm2d not in kinds
    # 1 stem, 3 stages of (2 + 3) + n * 3, 2 filters and 1 lateral, 2 x 2 in the head, cls and reg.
    assert kinds.count(nn.Conv2d) == 1 + (5 + 9) + (5 + 21) + (5 + 9) + 3 + 4 + 2
    functions = Counter(n.target for n in module.graph.nodes if n.op == "call_function")
    # A filter's border is 4 slices and 2 concatenations.
    assert functions[torch.narrow] == 65 + 2 * 4
    assert functions[torch.cat] == 16 + 2 * 2 + 1
    assert not set(functions) & {torch.index_select, torch.add, nn.functional.interpolate}


def test_the_network_itself_is_left_alone(
    tiny: ModelSpec, network: NanoDet, canvas: np.ndarray
) -> None:
    before = trace(network, tiny).run(canvas)
    lower(network, tiny, canvas)
    assert largest_difference(before, trace(network, tiny).run(canvas)) == 0


def test_a_wrong_rewrite_stops_the_build(
    tiny: ModelSpec, network: NanoDet, canvas: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(model: Lowered) -> Lowered:
        lowered = REWRITES["pool_first"](model)
        _, conv = layers(lowered.module, nn.Conv2d)[10]
        conv.weight.data *= 1.01
        return lowered

    monkeypatch.setattr(convert.lowering, "REWRITES", {**REWRITES, "halve_by_mean": wrong})
    with pytest.raises(GateFailed, match="rewrite halve_by_mean changes an output"):
        lower(network, tiny, canvas)


def test_sizes_that_same_padding_cannot_serve(official: ModelSpec) -> None:
    from torch import fx

    from convert.lowering.rotate_180 import apply

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 112, 3, 4, padding=1)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.conv(x),)

    model = Lowered(fx.symbolic_trace(Odd()), official.with_strides((32,)))
    with pytest.raises(GateFailed, match="layer conv: input size 320"):
        apply(model)
