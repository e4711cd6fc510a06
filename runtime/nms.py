"""Non-maximum suppression within each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .detections import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray


def box_iou(xyxy: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes (N, 4) with boxes (M, 4): float32 (N, M).

    Boxes without area have IoU 0 with everything.
    """
    left_top = np.maximum(xyxy[:, None, :2], others[None, :, :2])
    right_bottom = np.minimum(xyxy[:, None, 2:], others[None, :, 2:])
    intersection = np.prod(np.clip(right_bottom - left_top, 0, None), axis=2)
    union = _area(xyxy)[:, None] + _area(others)[None] - intersection
    iou: NDArray[np.float32] = np.zeros_like(intersection)
    return np.divide(intersection, union, out=iou, where=union > 0)


def _area(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    area: NDArray[np.float32] = np.prod(np.clip(xyxy[:, 2:] - xyxy[:, :2], 0, None), axis=1)
    return area


def nms_per_class(candidates: Detections, iou_threshold: float, max_detections: int) -> Detections:
    """Keep the best of overlapping boxes of one class (IoU above the threshold), best first.

    Equal confidences keep their order, so that results do not depend on the platform.
    """
    order = np.argsort(-candidates.confidence, kind="stable")
    kept = [
        indices[_greedy(candidates.xyxy[indices], iou_threshold)]
        for class_id in np.unique(candidates.class_id)
        if len(indices := order[candidates.class_id[order] == class_id])
    ]
    if not kept:
        return Detections.empty()
    survivors = np.zeros(len(candidates), bool)
    survivors[np.concatenate(kept)] = True
    return candidates.take(order[survivors[order]][:max_detections])


def _greedy(xyxy: NDArray[np.float32], iou_threshold: float) -> list[int]:
    """Indices kept of boxes (N, 4) that are sorted best first."""
    overlaps = box_iou(xyxy, xyxy) > iou_threshold
    suppressed = np.zeros(len(xyxy), bool)
    kept = []
    for i in range(len(xyxy)):
        if not suppressed[i]:
            kept.append(i)
            suppressed |= overlaps[i]
    return kept
