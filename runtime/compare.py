"""How far two engines' answers to one image lie apart, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .cli import plural
from .detections import Detections
from .nms import box_iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LIKE_IOU = 0.8


def describe_outputs(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> str:
    """Largest and mean distance of raw outputs by name: steps where they are integers."""
    steps = [np.abs(one[name].astype(np.float32) - other[name]) for name in one]
    worst = max(float(s.max()) for s in steps)
    mean = float(np.mean([s.mean() for s in steps]))
    return f"outputs differ by {worst:g} at most, {mean:.2f} in the mean"


def describe_detections(one: Detections, other: Detections) -> str:
    """How many each has, and how many both have."""
    return f"{len(one)} and {plural(len(other), 'detection')}, {shared(one, other)} in both"


def shared(one: Detections, other: Detections) -> int:
    """How many of `one` have their like in `other`: the same class, and nearly the same box."""
    same = one.class_id[:, None] == other.class_id[None]
    return int((same & (box_iou(one.xyxy, other.xyxy) > _LIKE_IOU)).any(axis=1).sum())
