"""Output logits -> candidate boxes (Generalized Focal Loss, arXiv:2006.04388)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .detections import Detections
from .spec import ModelSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decode(
    outputs: Mapping[str, NDArray[np.float32]], spec: ModelSpec, score_threshold: float
) -> Detections:
    """All class scores above the threshold as boxes in canvas pixels, before suppression.

    outputs: float32 (h, w, C) by output name, upright; class logits `cls_<stride>`, distance
    logits `reg_<stride>` (4 sides left, top, right, bottom; bins innermost).
    Boxes are clipped to the canvas. Order: strides rising, cells row by row, classes rising.
    """
    parts = [
        _decode_stride(outputs[f"cls_{s}"], outputs[f"reg_{s}"], s, spec, score_threshold)
        for s in spec.graph.strides
    ]
    return Detections(
        np.concatenate([p.xyxy for p in parts]),
        np.concatenate([p.confidence for p in parts]),
        np.concatenate([p.class_id for p in parts]),
    )


def _decode_stride(
    cls: NDArray[np.float32],
    reg: NDArray[np.float32],
    stride: int,
    spec: ModelSpec,
    score_threshold: float,
) -> Detections:
    row, column, class_id = np.nonzero(cls > _logit(score_threshold))
    logits = reg[row, column].reshape(-1, 4, spec.num_bins)
    distances = _expectation(logits) * np.float32(stride)
    centre = (np.stack([column, row], 1) + spec.architecture.prior_offset) * stride
    xyxy = np.concatenate([centre - distances[:, :2], centre + distances[:, 2:]], 1)
    limit = np.array([spec.input.width, spec.input.height] * 2, np.float32)
    return Detections(
        np.clip(xyxy, 0, limit).astype(np.float32),
        _sigmoid(cls[row, column, class_id]),
        class_id.astype(np.int64),
    )


def _expectation(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean bin of softmax(logits) over the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    moment = weights @ np.arange(logits.shape[-1], dtype=np.float32)
    mean: NDArray[np.float32] = moment / weights.sum(axis=-1)
    return mean


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1.0 / (1.0 + np.exp(-x.astype(np.float64)))).astype(np.float32)


def _logit(p: float) -> float:
    if p <= 0:
        return -np.inf
    return float(np.log(p / (1 - p))) if p < 1 else np.inf
