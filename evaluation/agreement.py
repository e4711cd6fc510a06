"""How far detectors find what a reference finds, on pictures without labels.

The reference's confident detections stand for the boxes. Average precision over COCO's ten IoUs is
taken over all of them at once, each to be found with its own class: over classes one by one, those
with a box or two would decide.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.coco import CocoSet, evaluated, indexed
from runtime.detections import Detections
from runtime.detector import DISPLAY_THRESHOLD, Detector

_OBJECT = 1  # The one category that pycocotools is told of.


@dataclass(frozen=True)
class Agreement:
    """boxes: the reference's, in all pictures. percent: average precision of each detector, or
    NaN where there are no boxes."""

    boxes: int
    percent: tuple[float, ...]


def agreement(
    reference: Detector,
    others: Sequence[Detector],
    pictures: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Agreement:
    """Show every picture to all detectors, which must know the same classes.

    Raises `KitError` for a picture that cannot be read.
    """
    truth: list[Detections] = []
    found: list[list[Detections]] = [[] for _ in others]
    for done, picture in enumerate(pictures, 1):
        truth.append(reference.detect(picture))
        for kept, other in zip(found, others, strict=True):
            kept.append(other.detect(picture))
        progress(done, len(pictures))
    boxes = sum(int((d.confidence >= DISPLAY_THRESHOLD).sum()) for d in truth)
    return Agreement(boxes, tuple(average_precision(truth, one) for one in found))


def average_precision(truth: Sequence[Detections], found: Sequence[Detections]) -> float:
    """In percent, of `found` against the confident detections of `truth`, picture by picture."""
    boxes = [
        {**box, "id": number, "area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0}
        for number, box in enumerate(
            (b for b in _boxes(truth) if b["score"] >= DISPLAY_THRESHOLD), 1
        )
    ]
    if not boxes:
        return float("nan")
    results = _boxes(found)
    places = sorted({entry["image_id"] for entry in (*boxes, *results)})
    coco = indexed(
        {
            "images": [{"id": place} for place in places],
            "categories": [{"id": _OBJECT, "name": "object"}],
            "annotations": boxes,
        }
    )
    images = CocoSet(Path(), coco, tuple(places), (_OBJECT,))
    evaluation = evaluated(images, results, every_size=False)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    return 100 * float(np.mean(evaluation.eval["precision"]))


def _boxes(pictures: Sequence[Detections]) -> list[dict[str, Any]]:
    """COCO's entries, with an image for each class of each picture."""
    classes = max(len(found.class_names) for found in pictures)
    return [
        {**entry, "image_id": picture * classes + entry["category_id"], "category_id": _OBJECT}
        for picture, found in enumerate(pictures)
        for entry in found.to_coco(picture)
    ]
