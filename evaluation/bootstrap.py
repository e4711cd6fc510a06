"""How far AP would move on other photographs of the same kind, from the ones at hand.

The photographs are drawn anew with replacement (Efron, "Bootstrap methods: another look at the
jackknife", 1979). The draws are the same for every result, so two results' differences are paired.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from data.annotations import Results
from evaluation.coco import CocoSet, evaluated
from runtime.errors import KitError

# Of COCO: AP, and AP at each IoU in percent that makes a match.
FIGURES = ("AP", *(f"AP{iou}" for iou in range(50, 100, 5)))
RESAMPLES = 200
_SEED = 0


def figures(images: CocoSet, results: Results) -> tuple[float, ...]:
    """`FIGURES` in percent; NaN where no box is annotated. results: as `detect_all` gives them."""
    evaluation = evaluated(images, results, every_size=False)
    return _figures(evaluation, _by_class(evaluation, images))


def resampled(images: CocoSet, results: Results, progress: bool = True) -> NDArray[np.float64]:
    """`FIGURES` in percent on each draw, (RESAMPLES, 11); NaN on a draw without annotated boxes.

    results: as `detect_all` gives them. Raises `KitError` where no image has boxes.
    """
    evaluation = evaluated(images, results, every_size=False)
    count = len(images.image_ids)
    generator = np.random.default_rng(_SEED)
    draws = [generator.integers(count, size=count) for _ in range(RESAMPLES)]
    bar = tqdm(draws, desc="resample", unit="draw", leave=False, disable=None if progress else True)
    by_class = _by_class(evaluation, images)
    found = np.array([_figures(evaluation, by_class[:, draw]) for draw in bar])
    if np.isnan(found).all():
        raise KitError("no box of these classes is annotated on these images; there is no AP")
    return found


def standard_error(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, ...]:
    """Of the difference of two results' `FIGURES`, in percent; see `resampled`."""
    return tuple(float(error) for error in np.nanstd(other - one, axis=0, ddof=1))


def _by_class(evaluation: COCOeval, images: CocoSet) -> NDArray[Any]:
    """What each image has of each class, (classes, images)."""
    return np.array(evaluation.evalImgs, object).reshape(-1, len(images.image_ids))


def _figures(evaluation: COCOeval, by_class: NDArray[Any]) -> tuple[float, ...]:
    """by_class: `evalImgs` of the images drawn, (classes, images)."""
    evaluation.evalImgs = by_class.ravel().tolist()
    # `accumulate` wants each image's number once; what it takes for images are draws.
    evaluation.params.imgIds = evaluation._paramsEval.imgIds = list(range(by_class.shape[1]))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, -1]  # (IoU thresholds, recall steps, classes)
    thresholds = precision[:, 0, :] > -1
    if not thresholds.any():
        return (np.nan,) * len(FIGURES)
    by_threshold = 100 * precision[:, :, thresholds[0]].mean((1, 2))
    return float(by_threshold.mean()), *by_threshold.tolist()
