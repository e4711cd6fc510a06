"""The cost of clipping, against clipping itself; how much louder a channel may get."""

from __future__ import annotations

import pytest
import torch

from quantize.clipping import BINS, WIDEST, Moments, growth

# (2 photographs, 2 channels, 2 sides) of one tensor.
_RATIOS = torch.tensor([[[2.0, 0.0], [1.2, 1.1]], [[1.0, 0.0], [1.0, 1.0]]])


def test_growth_is_what_loudest_exceed_second_by() -> None:
    found = growth([_RATIOS, _RATIOS * 3])
    assert found.min() == pytest.approx(1.1)
    assert found.max() == WIDEST, "more is not asked for"
    assert (found.diff() >= 0).all() and len(found) == 10


@pytest.mark.parametrize(
    ("loudest", "reason"),
    [
        (torch.stack([_RATIOS[0], torch.zeros(2, 2)]), "one photograph has no second"),
        (torch.zeros(2, 3, 2), "nothing is ever active"),
        (torch.ones(2, 3, 2), "all photographs are the same"),
    ],
)
def test_growth_that_cannot_be_told_is_none(loudest: torch.Tensor, reason: str) -> None:
    assert (growth([loudest]) == 1).all(), reason


@pytest.mark.parametrize("ratio", [1.0, 1.25])
def test_cost_is_that_of_clipping(ratio: float) -> None:
    """The loudest photograph counts as if it were louder by `ratio`."""
    generator = torch.Generator().manual_seed(0)
    quiet, loud = torch.randn(2, 2, 40, 50, generator=generator, dtype=torch.float64)
    loud = loud * 3
    curvature = torch.rand(2, 40, 50, generator=generator, dtype=torch.float64)
    extreme = torch.stack([-loud.amin((1, 2)), loud.amax((1, 2))], 1)
    moments = Moments(extreme)
    for value in (quiet, loud):
        moments.add(value, curvature)
    assert torch.allclose(moments.curvature().double(), 2 * curvature.sum((1, 2)))
    cost = moments.clip_cost(torch.tensor([ratio], dtype=torch.float64))
    assert cost.shape == (2, 2, int(BINS * WIDEST) + 1)
    assert cost.isfinite().all() and (cost >= 0).all()
    for k in (0, 7, 20, 40, 64, 70):
        for side, sign in enumerate((-1, 1)):
            for channel in range(2):
                threshold = extreme[channel, side] * k / BINS
                wanted = torch.zeros((), dtype=torch.float64)
                for value in (quiet[channel], loud[channel] * ratio):
                    beyond = (value * sign).clamp(min=0).sub(threshold).clamp(min=0)
                    wanted += (beyond**2 * curvature[channel]).sum()
                # Values of a bin count as clipped whole or not at all; between bins it is a line.
                whole = float(cost[side, channel, 0])
                assert float(cost[side, channel, k]) == pytest.approx(
                    float(wanted), rel=0.05, abs=1e-3 * whole
                ), (k, side, channel)


def test_a_channel_that_is_never_active_costs_nothing() -> None:
    moments = Moments(torch.zeros(3, 2))
    moments.add(torch.zeros(3, 4, 5), torch.ones(3, 4, 5))
    assert (moments.clip_cost(torch.ones(1)) == 0).all()
