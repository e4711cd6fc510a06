"""Post-processing as tutorials write it: everything in floats, every cell decoded.

The peer that `benchmarks.stages` measures the kit's own against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runtime.detections import Detections
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo


def find(
    raw: Mapping[str, np.ndarray],
    outputs: Sequence[TensorInfo],
    spec: ModelSpec,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int,
) -> Detections:
    """raw: int8 (h, w, C) by output name, upright. Detections on the canvas."""
    real = {t.name: (raw[t.name].astype(np.float32) - t.zero_point) * t.scale for t in outputs}
    scores, boxes = [], []
    for stride in spec.graph.strides:
        cls, reg = real[f"cls_{stride}"], real[f"reg_{stride}"]
        height, width = cls.shape[:2]
        scores.append((1 / (1 + np.exp(-cls))).reshape(height * width, -1))
        weight = np.exp(reg.reshape(-1, 4, spec.num_bins))
        weight /= weight.sum(axis=2, keepdims=True)
        distance = (weight * np.arange(spec.num_bins)).sum(axis=2) * stride
        y, x = np.mgrid[:height, :width]
        centre = (np.stack([x, y], 2).reshape(-1, 2) + spec.architecture.prior_offset) * stride
        boxes.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], 1))
    score, box = np.concatenate(scores), np.concatenate(boxes)
    box = np.clip(box, 0, [spec.input.width, spec.input.height] * 2).astype(np.float32)
    kept = []
    for class_id in range(score.shape[1]):
        passing = np.flatnonzero(score[:, class_id] > score_threshold)
        order = passing[np.argsort(-score[passing, class_id], kind="stable")]
        kept += [(score[i, class_id], class_id, i) for i in _nms(box, order, iou_threshold)]
    best = sorted(kept, key=lambda item: -item[0])[:max_detections]
    return Detections(
        box[[i for _, _, i in best]].reshape(-1, 4),
        np.array([s for s, _, _ in best], np.float32),
        np.array([c for _, c, _ in best], np.int64),
    )


def _nms(box: np.ndarray, order: np.ndarray, iou_threshold: float) -> list[int]:
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    kept = []
    while len(order):
        i, rest = order[0], order[1:]
        kept.append(int(i))
        side = np.minimum(box[i, 2:], box[rest, 2:]) - np.maximum(box[i, :2], box[rest, :2])
        shared = np.prod(np.maximum(side, 0), axis=1)
        order = rest[shared <= iou_threshold * (area[i] + area[rest] - shared)]
    return kept
