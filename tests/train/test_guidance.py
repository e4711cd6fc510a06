"""The network as it is trained: its guidance, and how it begins."""

from __future__ import annotations

import pytest
import torch

from data import locate
from runtime.spec import ModelSpec
from tests.conftest import small
from train.criterion import flatten
from train.guidance import TrainedNetwork


def test_guidance_leaves_the_rest_alone_when_detached() -> None:
    spec = small(locate.model_spec("nanodet-plus-m-320"), 96, 64)
    network = TrainedNetwork(spec)
    _, guide = network.train_forward(torch.randn(1, 3, 64, 96), detach=True)
    assert guide is not None
    guide.sum().backward()
    assert all(p.grad is None for p in network.backbone.parameters())
    assert all(p.grad is None for p in network.fpn.parameters())
    assert any(p.grad is not None for p in network.aux_fpn.parameters())


def test_outputs_are_cell_by_cell(tiny: ModelSpec) -> None:
    levels = TrainedNetwork(tiny).eval()(torch.randn(1, 3, 64, 96))
    flat = flatten(levels)
    assert flat.shape == (1, 96 + 24 + 6, 112)
    torch.testing.assert_close(flat[0, 96 + 7], levels[1][0, :, 1, 1])


@pytest.mark.parametrize(
    ("name", "weight", "deviation", "reason"),
    [
        ("nanodet-m-0.5x", "backbone.conv1.0.weight", 1 / 3, "the stem"),
        ("nanodet-m-0.5x", "backbone.stage3.0.branch2.0.weight", 1 / 48, "1 / inputs"),
        ("nanodet-m-0.5x", "backbone.stage3.0.branch2.3.weight", 1, "depthwise: one input"),
        ("nanodet-m-0.5x", "fpn.lateral_convs.0.conv.weight", (2 / (48 + 96)) ** 0.5, "Xavier"),
        ("nanodet-m-0.5x", "head.cls_convs.0.0.pointwise.weight", 0.01, "the head"),
        ("nanodet-plus-m-320", "fpn.reduce_layers.0.conv.weight", (2 / 96) ** 0.5, "He, fan out"),
        (
            "nanodet-plus-m-320",
            "fpn.downsamples.0.depthwise.weight",
            (2 / (96 * 25)) ** 0.5,
            "fan out of all channels",
        ),
        (
            "nanodet-plus-m-320",
            "fpn.top_down_blocks.0.blocks.0.ghost1.primary_conv.0.weight",
            (1 / 192 / 3) ** 0.5,
            "PyTorch's own, uniform within 1 / sqrt(inputs)",
        ),
        ("nanodet-plus-m-320", "aux_fpn.reduce_layers.0.conv.weight", (2 / 96) ** 0.5, "a copy"),
        ("nanodet-plus-m-320", "aux_head.cls_convs.0.conv.weight", 0.01, "the guidance"),
    ],
)
def test_weights_begin_as_upstreams(name: str, weight: str, deviation: float, reason: str) -> None:
    torch.manual_seed(0)
    network = TrainedNetwork(small(locate.model_spec(name), 96, 64))
    values = network.state_dict()[weight]
    error = 4 / (2 * values.numel()) ** 0.5  # Four standard errors of a deviation.
    assert float(values.std()) == pytest.approx(deviation, rel=error), reason
    assert float(values.mean()) == pytest.approx(0, abs=4 * deviation / values.numel() ** 0.5)


def test_biases_begin_as_upstreams(tiny: ModelSpec) -> None:
    state = TrainedNetwork(tiny).state_dict()
    for name, expected in {
        "backbone.conv1.1.bias": 1e-4,
        "backbone.stage4.3.branch2.6.bias": 1e-4,
        "fpn.lateral_convs.0.conv.bias": 0,
        "head.cls_convs.0.0.dwnorm.bias": 0,
        "head.gfl_cls.2.bias": -4.595,
    }.items():
        torch.testing.assert_close(state[name], torch.full_like(state[name], expected))
