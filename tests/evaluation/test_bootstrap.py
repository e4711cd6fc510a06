"""Resampled AP against COCOeval on sets that really hold the drawn photographs, and statistics."""

from __future__ import annotations

import contextlib
import copy
import io
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data.annotations import Results
from evaluation import bootstrap
from evaluation.bootstrap import RESAMPLES, figures, resampled, standard_error
from evaluation.coco import CocoSet
from runtime.errors import KitError

SIDE = 40.0
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def dataset(boxes: list[tuple[int, int, float]]) -> CocoSet:
    """boxes: image, category, left edge."""
    images = sorted({image for image, _, _ in boxes})
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in images],
        "categories": [{"id": c, "name": str(c)} for c in (1, 2)],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": category,
                "bbox": [left, 0.0, SIDE, SIDE],
                "area": SIDE * SIDE,
                "iscrowd": 0,
            }
            for number, (image, category, left) in enumerate(boxes, 1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return CocoSet(Path(), coco, tuple(images), (1, 2))


def found(boxes: list[tuple[int, int, float]], seed: int) -> Results:
    """Each box moved a little, some of them twice, some not at all, with any score."""
    generator = np.random.default_rng(seed)
    return [
        {
            "image_id": image,
            "category_id": category,
            "bbox": [left + generator.uniform(-12, 12), 0.0, SIDE, SIDE],
            "score": float(generator.uniform()),
        }
        for image, category, left in boxes
        for _ in range(generator.integers(3))
    ]


def drawn(images: CocoSet, results: Results, draw: np.ndarray) -> list[float]:
    """AP by COCOeval on a set with a copy of each image drawn, of all thresholds and of each."""
    boxes, copies = [], []
    for number, position in enumerate(draw):
        image = images.image_ids[position]
        for a in images.coco.dataset["annotations"]:
            if a["image_id"] == image:
                boxes.append((number, a["category_id"], a["bbox"][0]))
        copies += [{**r, "image_id": number} for r in results if r["image_id"] == image]
    truth = dataset(boxes).coco
    figures = []
    for thresholds in (THRESHOLDS, *THRESHOLDS[:, None]):
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(copies), "bbox")
            evaluation.params.iouThrs = thresholds
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        figures.append(100 * evaluation.stats[0])
    return figures


def test_against_sets_that_hold_the_images_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 10)
    generator = np.random.default_rng(1)
    boxes = [
        (image, int(generator.integers(1, 3)), 60.0 * place)
        for image in range(8)
        for place in range(1 + generator.integers(3))
    ]
    images, results = dataset(boxes), found(boxes, 2)
    generator = np.random.default_rng(bootstrap._SEED)
    expected = [drawn(images, results, generator.integers(8, size=8)) for _ in range(10)]
    np.testing.assert_allclose(resampled(images, results, False), expected, atol=1e-9)
    np.testing.assert_allclose(figures(images, results), drawn(images, results, np.arange(8)))


def test_standard_error_of_a_share() -> None:
    """Where AP is the share of boxes found, its error is that of a share (binomial)."""
    share, count = 0.7, 200
    boxes = [(image, 1, 0.0) for image in range(count)]
    images = dataset(boxes)
    hit = [{"image_id": i, "category_id": 1, "bbox": [0.0, 0.0, SIDE, SIDE], "score": 0.5}
           for i in range(int(share * count))]  # fmt: skip
    every = hit + [{**hit[0], "image_id": i} for i in range(len(hit), count)]
    errors = standard_error(resampled(images, every, False), resampled(images, hit, False))
    assert errors == pytest.approx([100 * (share * (1 - share) / count) ** 0.5] * 11, rel=0.15)


def test_equal_results_do_not_differ() -> None:
    boxes = [(image, 1, 0.0) for image in range(4)]
    images, results = dataset(boxes), found(boxes, 3)
    draws = resampled(images, results, False)
    assert draws.shape == (RESAMPLES, 11) and not any(standard_error(draws, draws))


def test_draws_without_boxes_do_not_count() -> None:
    boxes = [(0, 1, 0.0)]
    images = dataset([*boxes, (1, 3, 0.0)])  # Category 3 is none of the model's.
    draws = resampled(images, found(boxes, 0), False)
    empty = np.isnan(draws).all(1)
    assert 0 < empty.sum() < len(draws) / 2
    assert np.isfinite(standard_error(draws, draws)).all()


def test_no_boxes_at_all() -> None:
    with pytest.raises(KitError, match="no box"):
        resampled(dataset([(0, 3, 0.0)]), [], False)


def test_results_stay_as_they_are() -> None:
    boxes = [(0, 1, 0.0)]
    results = found(boxes * 3, 1)
    before = copy.deepcopy(results)
    resampled(dataset(boxes), results, False)
    assert before and results == before
