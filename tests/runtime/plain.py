"""Integer post-processing once more, in plain loops over Python's unlimited integers."""

from __future__ import annotations

import numpy as np

from runtime import integer
from runtime.spec import ModelSpec


def literal(
    raw: dict[str, np.ndarray], tables: integer.Tables, spec: ModelSpec
) -> list[tuple[int, int, list[int]]]:
    """The documented fixed point, cell by cell, in integers without limits."""
    found = []
    for index, level in enumerate(tables.levels):
        cls, reg = raw[f"cls_{level.stride}"], raw[f"reg_{level.stride}"]
        for row, column, class_id in np.ndindex(*cls.shape):
            logit = int(cls[row, column, class_id])
            if logit < level.min_logit:
                continue
            sides = []
            for side in range(4):
                bins = [int(v) for v in reg[row, column].reshape(4, -1)[side]]
                weights = [int(tables.weight[index, max(bins) - v]) for v in bins]
                top = sum(i * w for i, w in enumerate(weights)) * level.stride * 16
                assert top + sum(weights) // 2 < 1 << 32, "fits the device's registers"
                sides.append((top + sum(weights) // 2) // sum(weights))
            unit = level.stride * 16
            x = column * unit + round(spec.architecture.prior_offset * unit)
            y = row * unit + round(spec.architecture.prior_offset * unit)
            limits = [spec.input.width * 16, spec.input.height * 16] * 2
            box = [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]
            box = [min(max(v, 0), limit) for v, limit in zip(box, limits)]
            found.append((int(tables.score[index, logit + 128]), class_id, box))
    return sorted(found, key=lambda item: -item[0])


def plain_suppression(c: integer.Candidates, threshold: int, most: int) -> list[int]:
    kept: list[int] = []
    for i in range(len(c.score)):
        if all(not _clash(c, i, j, threshold) for j in kept):
            kept.append(i)
    return kept[:most]


def _clash(c: integer.Candidates, i: int, j: int, threshold: int) -> bool:
    a, b = c.box[i].tolist(), c.box[j].tolist()
    width, height = (max(0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
    areas = [(v[2] - v[0]) * (v[3] - v[1]) for v in (a, b)]
    shared = width * height
    same = bool(c.class_id[i] == c.class_id[j])
    return same and shared * 1024 > (sum(areas) - shared) * threshold
