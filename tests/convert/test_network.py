from __future__ import annotations

import pytest
import torch

from convert.network import NanoDet
from convert.network.shufflenetv2 import channel_shuffle, shuffle_indices
from data.names import variant


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("nanodet-m-0.5x", 0.28),
        ("nanodet-m", 0.95),
        ("nanodet-m-416", 0.95),
        ("nanodet-m-1.5x", 2.08),
        ("nanodet-m-1.5x-416", 2.08),
    ],
)
def test_parameters_are_as_many_as_published(name: str, millions: float) -> None:
    spec = variant(name, None)
    count = sum(p.numel() for p in NanoDet(spec).parameters())
    # The published counts hold the idle `gfl_reg` convolutions and are cut or rounded.
    count += 3 * 32 * (spec.architecture.neck_channels + 1)
    assert count / 1e6 == pytest.approx(millions, abs=0.01)


def test_plus_has_a_fourth_level() -> None:
    with torch.inference_mode():
        levels = NanoDet(variant("nanodet-plus-m-416", None)).eval()(torch.zeros(1, 3, 96, 160))
    assert [tuple(level.shape[2:]) for level in levels] == [(12, 20), (6, 10), (3, 5), (2, 3)]


def test_strides_of_the_outputs() -> None:
    with torch.inference_mode():
        levels = NanoDet(variant("nanodet-m-0.5x", None)).eval()(torch.zeros(1, 3, 64, 96))
    assert [tuple(level.shape) for level in levels] == [
        (1, 112, 8, 12),
        (1, 112, 4, 6),
        (1, 112, 2, 3),
    ]


@pytest.mark.parametrize(("channels", "groups"), [(8, 2), (12, 3), (6, 1), (4, 4)])
def test_shuffle(channels: int, groups: int) -> None:
    x = torch.arange(float(channels)).view(1, channels, 1, 1)
    # torch's own shuffle is the reference.
    expected = torch.nn.functional.channel_shuffle(x, groups)
    assert torch.equal(channel_shuffle(x, groups), expected)
    assert torch.equal(x[:, shuffle_indices(channels, groups)], expected)
