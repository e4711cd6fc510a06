"""What a student is to learn from a teacher's detections, worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from runtime.spec import ModelSpec
from tests.conftest import small
from train.criterion import Objects
from train.geometry import Cells
from train.losses import BACKGROUND
from train.soft_labels import SoftLabels
from train.teacher import Teacher

CPU = torch.device("cpu")


@pytest.fixture
def spec(tiny: ModelSpec) -> ModelSpec:
    """Six cells of stride 32, three by two."""
    return tiny.with_strides((32,)).with_classes(("person", "car"))


def objects(*entries: tuple[tuple[float, ...], int, float]) -> Objects:
    """Of (xyxy, class, score)."""
    boxes, classes, scores = zip(*entries, strict=True) if entries else ((), (), ())
    return Objects(
        torch.tensor(boxes).reshape(-1, 4), torch.tensor(classes).long(), torch.tensor(scores)
    )


_LARGE, _TINY = (2.0, 2.0, 62.0, 62.0), (70.0, 6.0, 80.0, 16.0)


@pytest.mark.parametrize(
    ("boxes", "expected", "reason"),
    [
        ([_TINY], {2: 0}, "ATSS has no cell in it: that of its centre takes it"),
        ([_TINY, (68.0, 4.0, 79.0, 17.0)], {2: 0}, "a cell that has an object takes no other"),
        ([], {}, "nothing"),
    ],
)
def test_assignment(
    spec: ModelSpec, boxes: list[tuple[float, ...]], expected: dict[int, int], reason: str
) -> None:
    cells = Cells.of(spec, 64, 96, CPU)
    found = SoftLabels.assign(cells, torch.tensor(boxes).reshape(-1, 4))
    assert {i: n for i, n in enumerate(found.tolist()) if n != BACKGROUND} == expected, reason


def logits(spec: ModelSpec, scores: dict[tuple[int, int], float]) -> torch.Tensor:
    """Of cells whose boxes reach a cell's side to each side; 1 % where no score is given."""
    count = len(spec.classes)
    result = torch.zeros(1, 6, count + 4 * spec.num_bins)
    result[..., :count] = torch.logit(torch.tensor(0.01))
    for (cell, class_id), score in scores.items():
        result[0, cell, class_id] = torch.logit(torch.tensor(score))
    sides = result[..., count:].unflatten(-1, (4, spec.num_bins))
    sides[..., 1] = 50.0
    return torch.cat([result[..., :count], sides.flatten(-2)], -1)


@pytest.mark.parametrize(
    ("seen", "start", "cell", "expected", "reason"),
    [
        ([(_TINY, 1, 0.4)], {}, 2, (0.01, 0.4), "the teacher's score, the other class as before"),
        ([], {(0, 0): 0.15}, 0, (0.15, 0.01), "too little to be an object: as before"),
        ([], {(0, 0): 0.6}, 0, (0.0, 0.01), "the teacher sees nothing there"),
        # Cell 4 is that of (48, 48); its box is (16, 16) to (80, 80).
        ([((16.0, 16.0, 80.0, 78.0), 0, 0.3), (_TINY, 0, 0.3)], {(4, 0): 0.6}, 4, None,
         "where it takes an object, that has the score"),
        ([((40.0, 4.0, 90.0, 60.0), 1, 0.3)], {(4, 0): 0.6}, 4, (0.0, None), "of another class"),
    ],
)  # fmt: skip
def test_targets(
    spec: ModelSpec, seen: Any, start: Any, cell: int, expected: Any, reason: str
) -> None:
    cells, found = Cells.of(spec, 64, 96, CPU), objects(*seen)
    assigned = SoftLabels.assign(cells, found.xyxy)[None]
    target = SoftLabels(spec).targets(cells, logits(spec, start), [found], assigned)
    got = target[0, cell].tolist()
    if expected is None:
        number = int(assigned[0, cell])
        expected = ((0.6 if number == BACKGROUND else 0.3), 0.01)
    for value, wanted in zip(got, expected, strict=True):
        assert wanted is None or value == pytest.approx(wanted, abs=1e-5), reason


def test_what_is_wanted_costs_least(spec: ModelSpec) -> None:
    """The targets as answers have no loss of scores; every other answer has more."""
    soft, start = SoftLabels(spec), logits(spec, {(0, 0): 0.15})
    nothing = objects()
    same = float(soft(start, start, [nothing]))
    assert same == pytest.approx(0.0, abs=1e-6)
    assert float(soft(logits(spec, {}), start, [nothing])) > 1e-4
    seen = objects((_TINY, 1, 0.4))
    without, with_score = (
        float(soft(logits(spec, scores), logits(spec, {}), [seen]))
        for scores in ({}, {(2, 1): 0.4})
    )
    assert with_score < without


class Recorder(nn.Module):
    """A network that keeps what it is shown."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec, self.seen = spec, torch.zeros(0)

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        self.seen = pixels
        channels = len(self.spec.class_names) + 4 * self.spec.num_bins
        height, width = pixels.shape[2:]
        return [
            torch.full((len(pixels), channels, height // s, width // s), -9.0)
            for s in self.spec.architecture.strides
        ]


def test_a_larger_teacher_sees_the_same_picture(tiny: ModelSpec) -> None:
    """At its own size and normalised for it; its boxes come back in the student's pixels."""
    size = dataclasses.replace(small(tiny, 192, 128).input, mean=(10.0, 20.0, 30.0),
                               std=(2.0, 4.0, 8.0))  # fmt: skip
    larger = dataclasses.replace(tiny, input=size)
    network = Recorder(larger)
    teacher = Teacher(network, larger, tiny, CPU)  # type: ignore[arg-type]
    colour = torch.tensor([50.0, 100.0, 150.0])[:, None, None]
    own = [torch.tensor(v)[:, None, None] for v in (tiny.input.mean, tiny.input.std)]
    pixels = ((colour - own[0]) / own[1]).expand(1, 3, 64, 96)
    found = teacher.logits(pixels)
    assert network.seen.shape == (1, 3, 128, 192)
    wanted = torch.tensor([20.0, 20.0, 15.0])
    torch.testing.assert_close(network.seen[0, :, 64, 96], wanted, atol=1e-3, rtol=1e-4)
    found["cls_32"][0, 7, 1, 2] = 3.0  # Centre (80, 48) of 192 x 128, sides alike: bins' mean.
    (one,) = teacher.objects(found)
    assert one.class_id.tolist() == [7]
    middle = (one.xyxy[0, :2] + one.xyxy[0, 2:]) / 2
    assert one.xyxy[0, 2] <= 96 and one.xyxy[0, 3] <= 64, middle
    assert one.score is not None and float(one.score[0]) == pytest.approx(0.9526, abs=1e-3)
