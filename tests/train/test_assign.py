"""Assignments against slow, literal implementations of the papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from data import locate
from runtime.spec import ModelSpec
from tests.conftest import small
from train.assign import atss, dynamic_soft
from train.geometry import Cells
from train.losses import BACKGROUND

Box = tuple[float, float, float, float]


def literal_iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return shared / (sum(areas) - shared)


def literal_atss(cells: Cells, boxes: list[Box]) -> list[int]:
    centres, strides = cells.centre.tolist(), cells.stride.tolist()
    best = [(-1.0, BACKGROUND)] * len(centres)
    for number, box in enumerate(boxes):
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        candidates: list[int] = []
        start = 0
        for size in cells.counts:
            level = range(start, start + size)
            candidates += sorted(level, key=lambda i: math.dist(centres[i], middle))[:9]
            start += size
        overlaps = {}
        for i in candidates:
            (x, y), half = centres[i], 2.5 * strides[i]
            overlaps[i] = literal_iou((x - half, y - half, x + half, y + half), box)
        values = list(overlaps.values())
        threshold = np.mean(values) + np.std(values, ddof=1)
        for i, overlap in overlaps.items():
            x, y = centres[i]
            inside = min(x - box[0], y - box[1], box[2] - x, box[3] - y) > 0.01
            if overlap >= threshold and inside and overlap > best[i][0]:
                best[i] = (overlap, number)
    return [number for _, number in best]


def literal_dynamic_soft(
    cells: Cells,
    logits: torch.Tensor,
    decoded: torch.Tensor,
    boxes: list[Box],
    class_id: list[int],
) -> list[int]:
    centres = cells.centre.tolist()
    inside = [
        any(min(x - b[0], y - b[1], b[2] - x, b[3] - y) > 0 for b in boxes) for x, y in centres
    ]
    valid = [i for i, ok in enumerate(inside) if ok]
    cost: dict[tuple[int, int], float] = {}
    overlap: dict[tuple[int, int], float] = {}
    for i in valid:
        x0, y0, x1, y1 = decoded[i].tolist()
        for number, box in enumerate(boxes):
            shared = literal_iou((x0, y0, x1, y1), box)
            focal = 0.0
            for k, logit in enumerate(logits[i].tolist()):
                p = 1 / (1 + math.exp(-logit))
                y = shared if k == class_id[number] else 0.0
                focal -= (y * math.log(p) + (1 - y) * math.log(1 - p)) * (y - p) ** 2
            cost[i, number] = focal - 3 * math.log(shared + 1e-7)
            overlap[i, number] = shared
    wanted: dict[int, set[int]] = {}
    for number in range(len(boxes)):
        most = sorted((overlap[i, number] for i in valid), reverse=True)[:13]
        size = max(int(sum(most)), 1)
        for i in sorted(valid, key=lambda i: cost[i, number])[:size]:
            wanted.setdefault(i, set()).add(number)
    result = [BACKGROUND] * len(centres)
    for i, numbers in wanted.items():
        if len(numbers) == 1:
            result[i] = next(iter(numbers))
        else:
            result[i] = min(range(len(boxes)), key=lambda n: cost[i, n])
    return result


def random_boxes(rng: np.random.Generator, count: int, spec: ModelSpec) -> list[Box]:
    boxes = []
    for _ in range(count):
        x, y = rng.uniform(0, spec.input.width), rng.uniform(0, spec.input.height)
        w, h = rng.uniform(4, 90, 2)
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return boxes


@pytest.mark.parametrize("seed", range(8))
def test_atss(seed: int, official: ModelSpec) -> None:
    spec = small(official, 160, 128)
    cells = Cells.of(spec, 128, 160, torch.device("cpu"))
    boxes = random_boxes(np.random.default_rng(seed), 1 + seed, spec)
    found = atss(cells, torch.tensor(boxes))
    assert found.tolist() == literal_atss(cells, boxes)
    assert (found != BACKGROUND).any()


@pytest.mark.parametrize("seed", range(8))
def test_dynamic_soft(seed: int) -> None:
    spec = small(locate.model_spec("nanodet-plus-m-320"), 160, 128)
    cells = Cells.of(spec, 128, 160, torch.device("cpu"))
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 1 + seed, spec)
    class_id = rng.integers(0, 5, len(boxes)).tolist()
    logits = torch.from_numpy(rng.normal(-2, 1.5, (len(cells.stride), 5)))
    near = np.array(boxes)[rng.integers(0, len(boxes), len(cells.stride))]
    decoded = torch.from_numpy(near + rng.normal(0, 6, near.shape))
    decoded = torch.cat([decoded[:, :2], torch.maximum(decoded[:, 2:], decoded[:, :2] + 1)], 1)
    found = dynamic_soft(
        cells, logits, decoded, torch.tensor(boxes, dtype=torch.float64), torch.tensor(class_id)
    )
    assert found.tolist() == literal_dynamic_soft(cells, logits, decoded, boxes, class_id)
    assert (found != BACKGROUND).any()


def test_a_picture_without_objects(tiny: ModelSpec) -> None:
    cells = Cells.of(tiny, 64, 96, torch.device("cpu"))
    nothing, none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    logits, decoded = torch.zeros(len(cells.stride), 3), torch.zeros(len(cells.stride), 4)
    assert (atss(cells, nothing) == BACKGROUND).all()
    assert (dynamic_soft(cells, logits, decoded, nothing, none) == BACKGROUND).all()
