"""Runs a detector over a COCO-format set and scores it with pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from data.annotations import Results, plain, read_annotations, same_categories
from runtime.detector import SCORE_THRESHOLD, Detector
from runtime.engines import Engine
from runtime.errors import KitError

# The 12 figures of COCOeval.summarize, in its order.
FIGURES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


@dataclass(frozen=True)
class CocoSet:
    """Images with annotated boxes.

    category_ids: COCO category of each class of the model, in the model's order; None for a
    class that the set does not annotate.
    """

    folder: Path
    coco: COCO
    image_ids: tuple[int, ...]
    category_ids: tuple[int | None, ...]

    @classmethod
    def load(
        cls, folder: Path, annotations: Path, class_names: Sequence[str], limit: int | None = None
    ) -> CocoSet:
        """Read an annotation file; keep the first `limit` images by id.

        Raises `KitError` when a file is missing, is no COCO annotation file, or shares no class
        with the model.
        """
        if not folder.is_dir():
            raise KitError(f"--images {folder}: no such folder")
        try:
            content = read_annotations(annotations, folder)
        except KitError as error:
            raise KitError(f"--annotations {error}") from None
        image_ids = tuple(sorted(image["id"] for image in content["images"])[:limit])
        coco = indexed(content)
        category_ids = _category_ids(content, class_names)
        if all(category is None for category in category_ids) or not image_ids:
            raise KitError(
                f"--annotations {annotations}: no images, or none of the model's classes "
                f"({', '.join(class_names[:3])}, ...)"
            )
        return cls(folder, coco, image_ids, category_ids)

    def paths(self) -> list[tuple[int, Path]]:
        """Number and file of each image."""
        return [(i, self.folder / self.coco.imgs[i]["file_name"]) for i in self.image_ids]


def indexed(dataset: dict[str, Any]) -> COCO:
    """pycocotools' view on a set's images, categories and annotations."""
    coco = COCO()
    coco.dataset = dataset
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def annotates(annotations: Path, class_names: Sequence[str]) -> bool:
    """Does the set know one of the classes? Raises `KitError` for no COCO annotation file."""
    return any(i is not None for i in _category_ids(read_annotations(annotations), class_names))


def _category_ids(content: dict[str, Any], class_names: Sequence[str]) -> tuple[int | None, ...]:
    names = {category["id"]: category["name"] for category in content["categories"]}
    ids = {plain(names[first]): first for first in same_categories(names).values()}
    return tuple(ids.get(plain(name)) for name in class_names)


@dataclass(frozen=True)
class Scores:
    """Average precision and recall in percent; -1 where the set has nothing to measure it on.

    figures: by the names of `FIGURES`. per_class: class name -> (AP50, AP). curves: IoU that makes
    a match -> precision in percent at recalls of 0, 1, ..., 100 %, mean over the classes.
    """

    figures: dict[str, float]
    per_class: dict[str, tuple[float, float]]
    curves: dict[str, tuple[float, ...]]


def ap_detector(model: str | Path | Engine) -> Detector:
    """With all detections that COCO's evaluation counts, not only those that are shown."""
    return Detector(model, score_threshold=SCORE_THRESHOLD)


def detect_all(detector: Detector, images: CocoSet, progress: bool = True) -> Results:
    """Detections of every image in COCO's result format."""
    results: Results = []
    quiet = None if progress else True
    for image_id, path in tqdm(images.paths(), desc="evaluate", unit="image", disable=quiet):
        results += detector.detect(path).to_coco(image_id, images.category_ids)
    return results


def evaluated(images: CocoSet, results: Results, every_size: bool = True) -> COCOeval:
    """Results matched to the boxes of each image, to be accumulated.

    every_size: also for small, medium and large boxes alone, and for fewer boxes per image.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(images.coco, _as_coco(images.coco, results), "bbox")
        evaluation.params.imgIds = list(images.image_ids)
        evaluation.params.catIds = sorted(c for c in images.category_ids if c is not None)
        if not every_size:
            evaluation.params.areaRng = evaluation.params.areaRng[:1]
            evaluation.params.maxDets = evaluation.params.maxDets[-1:]
        evaluation.evaluate()
    return evaluation


def score(images: CocoSet, results: Results, class_names: Sequence[str]) -> Scores:
    """COCO scores of `detect_all`'s results, over the classes that model and set share."""
    evaluation = evaluated(images, results)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    figures = {name: _percent(value) for name, value in zip(FIGURES, evaluation.stats)}
    # precision: (IoU thresholds, recall steps, classes, areas, detection limits)
    precision = evaluation.eval["precision"][..., 0, -1]
    per_class = {
        class_names[images.category_ids.index(category)]: (
            _percent(_mean(precision[0, :, i])),
            _percent(_mean(precision[:, :, i])),
        )
        for i, category in enumerate(evaluation.params.catIds)
    }
    curves = {
        "0.50": _curve(precision[:1]),
        "0.75": _curve(precision[5:6]),
        "0.50 to 0.95": _curve(precision),
    }
    return Scores(figures, per_class, curves)


def _as_coco(truth: COCO, results: Results) -> COCO:
    if not results:  # `loadRes` refuses an empty list.
        return indexed({**truth.dataset, "annotations": []})
    return truth.loadRes([dict(result) for result in results])  # It adds fields to what it gets.


def _curve(precision: np.ndarray) -> tuple[float, ...]:
    """precision: (IoU thresholds, recall steps, classes)."""
    return tuple(_percent(_mean(precision[:, step])) for step in range(precision.shape[1]))


def _mean(precision: np.ndarray) -> float:
    annotated = precision[precision > -1]
    return float(annotated.mean()) if annotated.size else -1.0


def _percent(value: float) -> float:
    return 100.0 * float(value) if value > -1 else -1.0
