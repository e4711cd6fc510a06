"""How far detectors find what a reference finds, on pictures without labels.

The reference's confident detections stand for the boxes. Average precision over COCO's ten IoUs is
taken over all of them at once, each to be found with its own class: over classes one by one, those
with a box or two would decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import RESAMPLES
from evaluation.coco import CocoSet, evaluated, indexed
from runtime.detections import Detections
from runtime.detector import DISPLAY_THRESHOLD, Detector

_OBJECT = 1  # The one category that pycocotools is told of.
_RECALLS = np.linspace(0, 1, 101)
_SEED = 0


@dataclass(frozen=True)
class Agreement:
    """boxes: the reference's, in all pictures. percent: average precision of both detectors.
    standard_error: of the difference. NaN where there are no boxes."""

    boxes: int
    percent: tuple[float, float]
    standard_error: float


def agreement(
    reference: Detector,
    one: Detector,
    other: Detector,
    pictures: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Agreement:
    """Show every picture to all detectors, which must know the same classes.

    Raises `KitError` for a picture that cannot be read.
    """
    detectors = (reference, one, other)
    found: list[list[Detections]] = [[] for _ in detectors]
    for done, picture in enumerate(pictures, 1):
        for kept, detector in zip(found, detectors, strict=True):
            kept.append(detector.detect(picture))
        progress(done, len(pictures))
    truth, first, second = found
    boxes = sum(int((d.confidence >= DISPLAY_THRESHOLD).sum()) for d in truth)
    percent = average_precision(truth, first), average_precision(truth, second)
    return Agreement(boxes, percent, standard_error(truth, first, second))


def average_precision(truth: Sequence[Detections], found: Sequence[Detections]) -> float:
    """In percent, of `found` against the confident detections of `truth`, picture by picture; NaN
    where these are none."""
    return _matches(truth, found).average_precision(np.ones(len(truth)))


def standard_error(
    truth: Sequence[Detections],
    found: Sequence[Detections],
    base: Sequence[Detections] | None = None,
) -> float:
    """Of `average_precision`, or of what it is above that of `base`, in percent: how far it moves
    when the pictures are drawn anew, see `bootstrap`. NaN without boxes."""
    generator, count = np.random.default_rng(_SEED), len(truth)
    draws = [np.bincount(generator.integers(count, size=count), minlength=count)
             for _ in range(RESAMPLES)]  # fmt: skip
    found_by_draw, base_by_draw = (
        np.array([matches.average_precision(draw) for draw in draws])
        for matches in (_matches(truth, found), _matches(truth, found if base is None else base))
    )
    lost = found_by_draw if base is None else found_by_draw - base_by_draw
    return float(np.std(lost[~np.isnan(lost)], ddof=1)) if not np.isnan(lost).all() else math.nan


@dataclass(frozen=True)
class _Matches:
    """What was found, best first. picture: (D,). hit: (D, IoUs), whether it matches. boxes:
    (pictures,), how many there are to find."""

    picture: NDArray[np.int64]
    hit: NDArray[np.bool_]
    boxes: NDArray[np.int64]

    def average_precision(self, times: NDArray[Any]) -> float:
        """As COCO's, in percent, where each picture is there so many times."""
        total = (self.boxes * times).sum()
        if not total:
            return math.nan
        weight = times[self.picture, None]
        hits, all_ = np.cumsum(self.hit * weight, 0), np.cumsum(weight, 0)
        precision = hits / np.maximum(all_, 1)
        best = np.maximum.accumulate(precision[::-1], 0)[::-1]
        best = np.concatenate([best, np.zeros((1, best.shape[1]))])
        places = [np.searchsorted(h, _RECALLS * total - 1e-9) for h in hits.T]
        return 100 * float(np.mean([column[at] for column, at in zip(best.T, places, strict=True)]))


def _matches(truth: Sequence[Detections], found: Sequence[Detections]) -> _Matches:
    classes = max(len(one.class_names) for pictures in (truth, found) for one in pictures)
    boxes = [
        {**box, "id": number, "area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0}
        for number, box in enumerate(
            (b for b in _boxes(truth, classes) if b["score"] >= DISPLAY_THRESHOLD), 1
        )
    ]
    results = _boxes(found, classes)
    places = sorted({entry["image_id"] for entry in (*boxes, *results)})
    coco = indexed(
        {
            "images": [{"id": place} for place in places],
            "categories": [{"id": _OBJECT, "name": "object"}],
            "annotations": boxes,
        }
    )
    images = CocoSet(Path(), coco, tuple(places), (_OBJECT,))
    by_place = [e for e in evaluated(images, results, every_size=False).evalImgs if e]
    picture = [np.full(len(e["dtScores"]), e["image_id"] // classes) for e in by_place]
    score = np.concatenate([[], *(e["dtScores"] for e in by_place)])
    hit = np.concatenate([np.zeros((0, 10)), *(e["dtMatches"].T for e in by_place)]) > 0
    order = np.argsort(-score, kind="stable")
    counts = np.bincount([b["image_id"] // classes for b in boxes], minlength=len(truth))
    ordered = np.concatenate([np.zeros(0, np.int64), *picture])[order]
    return _Matches(ordered, hit[order], counts)


def _boxes(pictures: Sequence[Detections], classes: int) -> list[dict[str, Any]]:
    """COCO's entries, with an image for each class of each picture."""
    return [
        {**entry, "image_id": picture * classes + entry["category_id"], "category_id": _OBJECT}
        for picture, found in enumerate(pictures)
        for entry in found.to_coco(picture)
    ]
