"""Post-processing in integers: int8 logits in, boxes out, the same to the last bit in C.

Everything that depends on scales is in tables made beforehand, so that a device needs neither
floats nor a maths library. Fixed point, with the binary point after so many bits:

    score        uint16  0.16   of 256 entries, by int8 class logit; 65535 at most
    weight       uint16  2.14   of 256 entries, by how far a distance logit lies below the largest
                                of its side: exp(-difference * scale)
    distance     uint32  28.4   (sum(bin * weight) * stride * 16 + sum(weight) / 2) / sum(weight)
    box          int32   28.4   pixels of the canvas: left, top, right, bottom, clipped to it
    threshold    uint32  22.10  of the intersection over union

A class logit passes when it is at least the smallest int8 value whose float score is above the
threshold. Candidates are ordered by score, falling, then stride, cell row by row, and class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.detections import Detections
from runtime.errors import KitError
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo

BOX_BITS = 4
SCORE_ONE = 1 << 16
WEIGHT_ONE = 1 << 14
IOU_BITS = 10
_MOST_BINS = 16  # So that a distance's numerator fits 32 bits at stride 64.
_COARSEST = 64


@dataclass(frozen=True)
class Level:
    """Tables and settings of one stride.

    lowest: smallest int8 class logit that passes; 128 where none does. score: uint16 (256,), by
    logit + 128. weight: uint16 (256,), by difference.
    """

    stride: int
    lowest: int
    score: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Candidates:
    """N boxes. box: int32 (N, 4). score: uint16 (N,). class_id: int32 (N,)."""

    box: np.ndarray
    score: np.ndarray
    class_id: np.ndarray

    def take(self, indices: np.ndarray) -> Candidates:
        """Those at `indices`, in that order."""
        return Candidates(self.box[indices], self.score[indices], self.class_id[indices])

    def in_pixels(self) -> Detections:
        """As floats, in pixels of the canvas."""
        return Detections(
            (self.box / (1 << BOX_BITS)).astype(np.float32),
            (self.score / SCORE_ONE).astype(np.float32),
            self.class_id.astype(np.int64),
        )


def make_levels(
    spec: ModelSpec, outputs: Sequence[TensorInfo], score_threshold: float
) -> list[Level]:
    """The tables of a model's outputs. Raises `KitError` where the fixed point would not do."""
    if spec.num_bins > _MOST_BINS or max(spec.graph.strides) > _COARSEST:
        raise KitError(
            f"{spec.name}: {spec.num_bins} bins at stride {max(spec.graph.strides)}; integers do "
            f"for {_MOST_BINS} at {_COARSEST}"
        )
    tensors = {tensor.name: tensor for tensor in outputs}
    return [
        _level(stride, tensors[f"cls_{stride}"], tensors[f"reg_{stride}"], score_threshold)
        for stride in spec.graph.strides
    ]


def _level(stride: int, cls: TensorInfo, reg: TensorInfo, score_threshold: float) -> Level:
    logits = (np.arange(-128, 128) - cls.zero_point) * np.float64(cls.scale)
    with np.errstate(over="ignore"):
        score = 1 / (1 + np.exp(-logits))
    passing = np.flatnonzero(score > score_threshold)
    weight = np.exp(-np.arange(256) * np.float64(reg.scale))
    return Level(
        stride,
        int(passing[0]) - 128 if len(passing) else 128,
        np.minimum(np.rint(score * SCORE_ONE), SCORE_ONE - 1).astype(np.uint16),
        np.rint(weight * WEIGHT_ONE).astype(np.uint16),
    )


def decode(raw: Mapping[str, np.ndarray], levels: Sequence[Level], spec: ModelSpec) -> Candidates:
    """Candidates of all strides, best first.

    raw: int8 (h, w, C) by output name, upright.
    """
    found = [_decode_level(raw, level, spec) for level in levels]
    joined = Candidates(
        np.concatenate([c.box for c in found]),
        np.concatenate([c.score for c in found]),
        np.concatenate([c.class_id for c in found]),
    )
    return joined.take(np.argsort(-joined.score.astype(np.int32), kind="stable"))


def _decode_level(raw: Mapping[str, np.ndarray], level: Level, spec: ModelSpec) -> Candidates:
    cls, reg = raw[f"cls_{level.stride}"], raw[f"reg_{level.stride}"]
    row, column, class_id = np.nonzero(cls >= level.lowest)
    logits = reg[row, column].reshape(-1, 4, spec.num_bins).astype(np.int16)
    weight = level.weight[logits.max(axis=2, keepdims=True) - logits].astype(np.uint32)
    total = weight.sum(axis=2, dtype=np.uint32)
    bins = np.arange(spec.num_bins, dtype=np.uint32)
    unit = np.uint32(level.stride << BOX_BITS)
    distance = ((weight * bins).sum(axis=2, dtype=np.uint32) * unit + total // 2) // total
    sides = distance.astype(np.int32)
    offset = round(spec.architecture.prior_offset * (level.stride << BOX_BITS))
    centre = (np.stack([column, row], 1) * (level.stride << BOX_BITS) + offset).astype(np.int32)
    box = np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], 1)
    limit = np.array([spec.input.width, spec.input.height] * 2, np.int32) << BOX_BITS
    score = level.score[cls[row, column, class_id].astype(np.int16) + 128]
    return Candidates(np.clip(box, 0, limit), score, class_id.astype(np.int32))


def suppress(candidates: Candidates, iou_threshold: float, max_detections: int) -> Candidates:
    """Drop what overlaps a better box of its class by more than the threshold.

    candidates: best first. Compares intersection << 10 with union * threshold, in 64 bits.
    """
    first, second = _overlapping(candidates, round(iou_threshold * (1 << IOU_BITS)))
    kept = np.ones(len(candidates.score), bool)
    # A box falls to a better one that stands itself: settled from the best on, a few rounds.
    while True:
        standing = np.ones(len(kept), bool)
        standing[second[kept[first]]] = False
        if np.array_equal(standing, kept):
            return candidates.take(np.flatnonzero(kept)[:max_detections])
        kept = standing


def _overlapping(candidates: Candidates, threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of the same class, better first, whose overlap is above the threshold."""
    order = np.argsort(candidates.class_id, kind="stable")
    classes = candidates.class_id[order]
    ends = np.searchsorted(classes, classes, side="right")
    later = ends - np.arange(len(order)) - 1
    first = np.repeat(np.arange(len(order)), later)
    start = np.cumsum(later) - later
    second = np.arange(len(first)) - np.repeat(start, later) + first + 1
    box = candidates.box[order].astype(np.int64)
    area = np.prod(np.maximum(box[:, 2:] - box[:, :2], 0), axis=1)
    a, b = box[first], box[second]
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    union = area[first] + area[second] - shared
    over = (shared << IOU_BITS) > union * threshold
    return order[first[over]], order[second[over]]
