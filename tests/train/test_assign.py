"""Assignments against slow, literal implementations of the papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data import locate
from runtime.spec import ModelSpec
from tests.conftest import small
from tests.train.literal import Box, literal_atss, literal_dynamic_soft
from train.assign import atss, dynamic_soft
from train.geometry import Cells
from train.losses import BACKGROUND


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
