"""How far detectors find what a reference finds, on pictures without labels.

The reference's confident detections stand for the boxes. Average precision over COCO's ten IoUs is
taken over all of them at once, each to be found with its own class: over classes one by one, those
with a box or two would decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.annotations import Results
from evaluation.bootstrap import figures, resampled
from evaluation.coco import CocoSet, indexed
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
    """In percent, of `found` against the confident detections of `truth`, picture by picture; NaN
    where these are none."""
    return figures(*_as_coco(truth, found)[:2])[0]


def standard_error(
    truth: Sequence[Detections],
    found: Sequence[Detections],
    base: Sequence[Detections] | None = None,
) -> float:
    """Of `average_precision`, or of what it is above that of `base`, in percent: how far it moves
    when the pictures are drawn anew. Raises `KitError` where `truth` has no confident detection."""
    before, after = (
        np.zeros(1)
        if one is None
        else resampled(*_as_coco(truth, one)[:2], False, _as_coco(truth, one)[2])[:, 0]
        for one in (base, found)
    )
    return float(np.nanstd(after - before, ddof=1))


def _as_coco(
    truth: Sequence[Detections], found: Sequence[Detections]
) -> tuple[CocoSet, Results, list[NDArray[np.int64]]]:
    """The boxes to find, what was found, and the places of each picture's images."""
    boxes = [
        {**box, "id": number, "area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0}
        for number, box in enumerate(
            (b for b in _boxes(truth) if b["score"] >= DISPLAY_THRESHOLD), 1
        )
    ]
    results = _boxes(found)
    places = np.unique([entry["image_id"] for entry in (*boxes, *results)]).astype(np.int64)
    coco = indexed(
        {
            "images": [{"id": place} for place in places.tolist()],
            "categories": [{"id": _OBJECT, "name": "object"}],
            "annotations": boxes,
        }
    )
    pictures = places // _classes(truth, found)
    together = [np.flatnonzero(pictures == number) for number in range(len(truth))]
    return CocoSet(Path(), coco, tuple(places.tolist()), (_OBJECT,)), results, together


def _boxes(pictures: Sequence[Detections]) -> list[dict[str, Any]]:
    """COCO's entries, with an image for each class of each picture."""
    classes = _classes(pictures)
    return [
        {**entry, "image_id": picture * classes + entry["category_id"], "category_id": _OBJECT}
        for picture, found in enumerate(pictures)
        for entry in found.to_coco(picture)
    ]


def _classes(*detectors: Sequence[Detections]) -> int:
    """How many there are."""
    return max(len(found.class_names) for pictures in detectors for found in pictures)
