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
threshold. Candidates are ordered by score, falling, then stride, cell row by row, and class; the
first `MAX_CANDIDATES` stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .detections import Detections
from .spec import ModelSpec
from .tflite_file import TensorInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOX_BITS = 4
SCORE_ONE = 1 << 16
WEIGHT_ONE = 1 << 14
IOU_BITS = 10
MAX_CANDIDATES = 1000
_LEVEL_SHIFT, _SCORE_SHIFT = 40, 44  # In a candidate's rank, above its position in the grid.


@dataclass(frozen=True)
class Level:
    """Settings of one stride. min_logit: smallest int8 class logit that passes; 128 where none."""

    stride: int
    min_logit: int


@dataclass(frozen=True)
class Tables:
    """What a device keeps of a model; one row per stride.

    score: uint16 (strides, 256), by class logit + 128. weight: uint16 (strides, 256), by
    difference.
    """

    levels: tuple[Level, ...]
    score: NDArray[np.uint16]
    weight: NDArray[np.uint16]


@dataclass(frozen=True)
class Candidates:
    """N boxes. box: int32 (N, 4). score: uint16 (N,). class_id: int32 (N,)."""

    box: NDArray[np.int32]
    score: NDArray[np.uint16]
    class_id: NDArray[np.int32]

    def take(self, indices: NDArray[np.int64]) -> Candidates:
        """Those at `indices`, in that order."""
        return Candidates(self.box[indices], self.score[indices], self.class_id[indices])

    def in_pixels(self) -> Detections:
        """As floats, in pixels of the canvas."""
        return Detections(
            (self.box / (1 << BOX_BITS)).astype(np.float32),
            (self.score / SCORE_ONE).astype(np.float32),
            self.class_id.astype(np.int64),
        )


def fits(spec: ModelSpec, outputs: Sequence[TensorInfo]) -> bool:
    """Whether outputs are int8, and a distance's numerator fits 32 bits."""
    most = spec.num_bins * (spec.num_bins - 1) // 2 * WEIGHT_ONE
    unit = max(spec.graph.strides) << BOX_BITS
    narrow = most * unit + spec.num_bins * WEIGHT_ONE // 2 < 1 << 32
    return narrow and all(tensor.dtype == "INT8" for tensor in outputs)


def make_tables(spec: ModelSpec, outputs: Sequence[TensorInfo], score_threshold: float) -> Tables:
    """The tables of a model's outputs; they must fit, see `fits`."""
    tensors = {tensor.name: tensor for tensor in outputs}
    steps = np.arange(256)
    levels, scores, weights = [], [], []
    for stride in spec.graph.strides:
        cls, reg = tensors[f"cls_{stride}"], tensors[f"reg_{stride}"]
        with np.errstate(over="ignore"):
            score = 1 / (1 + np.exp((128 + cls.zero_point - steps) * np.float64(cls.scale)))
        passing = np.flatnonzero(score > score_threshold)
        levels.append(Level(stride, int(passing[0]) - 128 if len(passing) else 128))
        scores.append(np.minimum(np.rint(score * SCORE_ONE), SCORE_ONE - 1).astype(np.uint16))
        weight = np.exp(-steps * np.float64(reg.scale))
        weights.append(np.rint(weight * WEIGHT_ONE).astype(np.uint16))
    return Tables(tuple(levels), np.stack(scores), np.stack(weights))


def decode(
    raw: Mapping[str, NDArray[np.int8]],
    tables: Tables,
    spec: ModelSpec,
    wanted: NDArray[np.bool_] | None = None,
    max_candidates: int = MAX_CANDIDATES,
) -> Candidates:
    """Candidates of all strides, best first.

    raw: int8 (h, w, C) by output name, upright. wanted: bool (C,), classes to look for.
    """
    parts = [_passing(raw, tables, i, wanted) for i in range(len(tables.levels))]
    rank, reg, place = (np.concatenate(columns) for columns in zip(*parts))
    best = np.argsort(rank)[:max_candidates]
    class_id = (rank[best] & (1 << _LEVEL_SHIFT) - 1) % len(spec.classes)
    score = (SCORE_ONE - 1) - (rank[best] >> _SCORE_SHIFT)
    box = _boxes(reg[best], place[best], tables, spec)
    return Candidates(box, score.astype(np.uint16), class_id.astype(np.int32))


def _passing(
    raw: Mapping[str, NDArray[np.int8]],
    tables: Tables,
    index: int,
    wanted: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Of one stride: rank int64 (N,), distance logits uint8 (N, 4 * bins), and place int64 (N, 3):
    column, row, index of the stride."""
    level = tables.levels[index]
    cls, reg = raw[f"cls_{level.stride}"], raw[f"reg_{level.stride}"]
    width, classes = cls.shape[1:]
    # Grids of a rotated graph are views from their end; searched as they lie in memory.
    rotated = cls.strides[0] < 0
    lying = np.ascontiguousarray(cls[::-1, ::-1] if rotated else cls).ravel()
    none = level.min_logit > 127
    found = lying[:0].nonzero()[0] if none else (lying >= np.int8(level.min_logit)).nonzero()[0]
    cell, class_id = np.divmod(found, classes)
    if wanted is not None:
        kept = wanted[class_id]
        found, cell, class_id = found[kept], cell[kept], class_id[kept]
    score = tables.score[index][lying[found].view(np.uint8) ^ 0x80].astype(np.int64)
    if rotated:
        cell = len(lying) // classes - 1 - cell
    row, column = np.divmod(cell, width)
    rank = (SCORE_ONE - 1 - score << _SCORE_SHIFT) + (index << _LEVEL_SHIFT)
    rank += cell * classes + class_id
    place = np.stack([column, row, np.full_like(row, index)], 1)
    return rank, reg[row, column].view(np.uint8), place


def _boxes(
    reg: NDArray[np.uint8], place: NDArray[np.int64], tables: Tables, spec: ModelSpec
) -> NDArray[np.int32]:
    """int32 (N, 4), from distance logits uint8 (N, 4 * bins) that hold int8."""
    logits = (reg ^ 0x80).reshape(-1, 4, spec.num_bins)
    below = logits.max(axis=2, keepdims=True) - logits
    weight = tables.weight[place[:, 2, None, None], below]
    # Whole numbers below 2^53: exact, and floats multiply faster.
    sums = weight.astype(np.float64) @ np.stack(
        [np.ones(spec.num_bins), np.arange(spec.num_bins)], 1
    )
    total, moment = sums.astype(np.int64).transpose(2, 0, 1)
    unit = np.array([level.stride << BOX_BITS for level in tables.levels])[place[:, 2], None]
    distance = (moment * unit + total // 2) // total
    offset = np.rint(spec.architecture.prior_offset * unit).astype(np.int64)
    centre = place[:, :2] * unit + offset
    corners = np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], 1)
    limit = np.array([spec.input.width, spec.input.height] * 2) << BOX_BITS
    box: NDArray[np.int32] = np.clip(corners, 0, limit).astype(np.int32)
    return box


def suppress(candidates: Candidates, iou_threshold: float, max_detections: int) -> Candidates:
    """Drop what overlaps a better box of its class by more than the threshold.

    candidates: best first. Compares intersection << 10 with union * threshold, in 64 bits.
    """
    first, second = _overlapping(candidates, round(iou_threshold * (1 << IOU_BITS)))
    kept = np.ones(len(candidates.score), bool)
    # A box falls to a better one that stands itself: settled from the best on, a few rounds.
    while len(first):
        standing = np.ones(len(kept), bool)
        standing[second[kept[first]]] = False
        if np.array_equal(standing, kept):
            break
        kept = standing
    return candidates.take(kept.nonzero()[0][:max_detections])


def _overlapping(
    candidates: Candidates, threshold: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of the same class, better first, whose overlap is above the threshold."""
    order = np.argsort(candidates.class_id, kind="stable")
    classes = candidates.class_id[order]
    ends = np.searchsorted(classes, classes, side="right")
    later = ends - np.arange(len(order)) - 1
    first = np.repeat(np.arange(len(order)), later)
    start = np.cumsum(later) - later
    second = np.arange(len(first)) - np.repeat(start, later) + first + 1
    left, top, right, bottom = candidates.box[order].astype(np.int64).T
    area = (right - left) * (bottom - top)
    width = np.minimum(right[first], right[second]) - np.maximum(left[first], left[second])
    height = np.minimum(bottom[first], bottom[second]) - np.maximum(top[first], top[second])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = area[first] + area[second] - shared
    over = (shared << IOU_BITS) > union * threshold
    return order[first[over]], order[second[over]]
