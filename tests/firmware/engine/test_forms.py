"""Windows that the kernels take, and what is read from flash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware.engine.forms import check_forms, weight_bytes_read
from firmware.engine.layers import Network
from firmware.engine.plan import make_plan
from runtime.errors import KitError
from tests.firmware.engine.small import small_network


def test_all_kinds_have_a_kernel() -> None:
    check_forms(small_network(16, 16, 4), "model")


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("stem", {"left": 1}, "the image's padding at the left"),
        ("depthwise", {"kernel": 7}, "a larger kernel"),
        ("depthwise", {"stride": 4}, "a longer stride"),
        ("max", {"kernel": 2}, "another pool"),
        ("average", {"kernel": 3, "stride": 3}, "a mean of nine"),
    ],
)
def test_other_windows(kind: str, change: dict[str, Any], reason: str) -> None:
    network = small_network(16, 16, 4)
    layers = list(network.layers)
    place = next(n for n, layer in enumerate(layers) if layer.kind == kind)
    layers[place] = replace(layers[place], **change)
    with pytest.raises(
        KitError, match=rf"^model: {kind} .* has no kernel .* --engine tflm"
    ) as told:
        check_forms(Network(network.values, tuple(layers)), "model")
    assert "\n" not in str(told.value), reason


def test_weights_are_read_once_a_row() -> None:
    """The first convolution: 28 inputs and 8 parameters and biases for each pair of channels."""
    plan = make_plan(small_network(16, 16, 4))
    alone = replace(plan, schedule=replace(plan.schedule, steps=((0, 0), (0, 1))))
    assert weight_bytes_read(alone) == 2 * (4 // 2) * (28 + 8) * 4


def test_int8_weights_are_half_as_large() -> None:
    """Of 9 inputs 12 are read, a byte each; biases and parameters stay as they are."""
    network = small_network(16, 16, 4)
    place = next(n for n, layer in enumerate(network.layers) if layer.name == "conv 4")
    plan = make_plan(network, narrow=True)
    alone = replace(plan, schedule=replace(plan.schedule, steps=((place, 0),)))
    assert len(network.layers[place].sources[0]) == 9
    assert weight_bytes_read(alone) == (4 // 2) * (12 // 2 + 8) * 4


def test_large_weights_are_read_once_for_the_pixels_held() -> None:
    """A pixel of 196 inputs takes 392 bytes at 16 bits; 8,192 are held: 20 pixels of 96."""
    network = small_network(16, 384, 96)
    place = next(n for n, layer in enumerate(network.layers) if layer.name == "conv 4")
    plan = make_plan(network)
    alone = replace(plan, schedule=replace(plan.schedule, steps=((place, 0),)))
    inputs = len(network.layers[place].sources[0])
    assert inputs == 193
    assert weight_bytes_read(alone) == 5 * (96 // 2) * (196 + 8) * 4
