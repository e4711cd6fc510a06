"""Copies to learn from: whole grey levels, in range, varied, and the same each time."""

from __future__ import annotations

import pytest
import torch

from quantize.augment import vary

_LOW, _HIGH = -2.0, 2.435  # As of a graph that takes scaled pixels.
_STEP = (_HIGH - _LOW) / 255


def _levels(count: int = 8) -> torch.Tensor:
    """Smooth pictures, as photographs are: (N, 3, 40, 60), whole numbers up to 255."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 5, 6, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, (40, 60), mode="bilinear").round()


def _varied(levels: torch.Tensor, seed: int = 0) -> torch.Tensor:
    given = levels * _STEP + _LOW
    copies = vary(given, (_LOW, _HIGH), torch.Generator().manual_seed(seed))
    return (copies - _LOW) / _STEP


def test_copies_are_pixels() -> None:
    copies = _varied(_levels())
    assert copies.shape == (8, 3, 40, 60)
    torch.testing.assert_close(copies, copies.round(), atol=1e-3, rtol=0)
    assert copies.min() > -1e-3 and copies.max() < 255 + 1e-3


def test_copies_differ_and_repeat() -> None:
    levels = _levels(1).repeat(8, 1, 1, 1)
    copies = _varied(levels)
    assert len({tuple(c.flatten().tolist()) for c in copies}) == 8, "one picture, eight copies"
    assert torch.equal(copies, _varied(levels)) and not torch.equal(copies, _varied(levels, 1))


@pytest.mark.parametrize("level", [0, 17, 255])
def test_one_colour_stays_one_colour(level: int) -> None:
    copies = _varied(torch.full((8, 3, 40, 60), float(level)))
    assert ((copies.amax((1, 2, 3)) - copies.amin((1, 2, 3))) < 1e-3).all()
    assert ((copies.mean((1, 2, 3)) - level).abs() <= 0.08 * 255 + 0.5).all()


def test_copies_are_turned_neither_upside_down_nor_always_mirrored() -> None:
    """Brightness that grows downwards and to the right still grows downwards; to the right in
    about half of the copies."""
    rows, columns = torch.linspace(40, 140, 40)[:, None], torch.linspace(0, 70, 60)[None]
    copies = _varied((rows + columns).expand(64, 3, 40, 60).round())
    downwards = copies[:, :, 20:30].mean((1, 2, 3)) - copies[:, :, 10:20].mean((1, 2, 3))
    rightwards = copies[..., 30:45].mean((1, 2, 3)) - copies[..., 15:30].mean((1, 2, 3))
    assert (downwards > 0).float().mean() > 0.9
    assert 0.25 < (rightwards > 0).float().mean() < 0.75
