"""Losses and boxes against hand-computed values and slow literal loops."""

from __future__ import annotations

import math

import pytest
import torch

from runtime.spec import ModelSpec
from train.geometry import Cells, box_to_distance, distance_to_box, expected_distance, giou, iou
from train.losses import (
    BACKGROUND,
    distribution_focal_loss,
    giou_loss,
    quality_focal_loss,
)


@pytest.mark.parametrize(
    ("a", "b", "expected_iou", "expected_giou", "reason"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1, 1, "the same box"),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3, 1 / 3, "the hull is the union"),
        ((0, 0, 1, 1), (1, 1, 2, 2), 0, -0.5, "touching corners: hull 4, union 2"),
        ((0, 0, 1, 1), (3, 0, 4, 1), 0, -0.5, "apart: hull 4, union 2"),
        ((0, 0, 4, 4), (1, 1, 3, 3), 0.25, 0.25, "one inside the other"),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7, 1 / 7 - 2 / 9, "hull 9, union 7"),
    ],
)
def test_overlap(
    a: tuple[float, ...],
    b: tuple[float, ...],
    expected_iou: float,
    expected_giou: float,
    reason: str,
) -> None:
    one, other = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    assert float(iou(one, other)) == pytest.approx(expected_iou), reason
    assert float(giou(one, other)) == pytest.approx(expected_giou), reason
    assert float(giou(other, one)) == pytest.approx(expected_giou), "symmetric"


def test_giou_loss_is_weighed() -> None:
    boxes = torch.tensor([[0.0, 0, 1, 1], [0, 0, 2, 2]])
    targets = torch.tensor([[1.0, 1, 2, 2], [1, 0, 3, 2]])
    loss = giou_loss(boxes, targets, torch.tensor([2.0, 3.0]))
    assert float(loss) == pytest.approx(2 * 1.5 + 3 * 2 / 3)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_quality_focal_loss() -> None:
    logits = [[0.3, -1.2, 2.0], [-0.5, 0.1, -3.0], [1.5, -2.0, 0.0]]
    class_id, quality = [2, BACKGROUND, 0], [0.7, 0.0, 0.2]
    expected = 0.0
    for row, c, q in zip(logits, class_id, quality, strict=True):
        for k, x in enumerate(row):
            y = q if k == c else 0.0
            p = sigmoid(x)
            entropy = -(y * math.log(p) + (1 - y) * math.log(1 - p))
            expected += abs(y - p) ** 2 * entropy
    found = quality_focal_loss(torch.tensor(logits), torch.tensor(class_id), torch.tensor(quality))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("distance", "reason"),
    [(0.0, "at a bin"), (3.25, "between two"), (6.9, "near the last"), (7.0, "at the last")],
)
def test_distribution_focal_loss(distance: float, reason: str) -> None:
    logits = torch.sin(torch.arange(32.0)).reshape(1, 4, 8)
    expected = 0.0
    for side in range(4):
        shares = logits[0, side].softmax(0).tolist()
        low = min(int(distance), 6)
        expected -= (low + 1 - distance) * math.log(shares[low])
        expected -= (distance - low) * math.log(shares[low + 1])
    found = distribution_focal_loss(logits, torch.full((1, 4), distance), torch.tensor([2.0]))
    assert float(found) == pytest.approx(2 * expected, rel=1e-5), reason


def test_distance_is_least_at_its_target() -> None:
    """Distribution focal loss of the exact two-bin distribution is its entropy."""
    logits = torch.full((1, 4, 8), -30.0)
    logits[..., 3], logits[..., 4] = math.log(0.75), math.log(0.25)
    loss = distribution_focal_loss(logits, torch.full((1, 4), 3.25), torch.ones(1))
    assert float(loss) == pytest.approx(-4 * (0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    distances = expected_distance(logits.flatten(1), 8)
    assert distances[0].tolist() == pytest.approx([3.25] * 4)


def test_boxes_and_distances() -> None:
    centre = torch.tensor([[10.0, 20.0]])
    box = torch.tensor([[3.0, 15.0, 30.0, 21.0]])
    assert box_to_distance(centre, box).tolist() == [[7, 5, 20, 1]]
    assert distance_to_box(centre, box_to_distance(centre, box)).equal(box)


def test_cells(tiny: ModelSpec) -> None:
    """Stride by stride, row by row, centres as the decoder has them."""
    cells = Cells.of(tiny, tiny.input.height, tiny.input.width, torch.device("cpu"))
    assert cells.counts == (96, 24, 6)
    assert cells.centre[:2].tolist() == [[4, 4], [12, 4]], "x first"
    assert cells.centre[-1].tolist() == [80, 48]
    assert cells.stride[[0, 96, 120]].tolist() == [8, 16, 32]
