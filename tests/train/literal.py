"""What training is held against: assignments and losses of the papers, slow and literal, and the
uniform distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from runtime.spec import ModelSpec
from train.criterion import Objects
from train.geometry import Cells
from train.losses import BACKGROUND

Box = tuple[float, float, float, float]


def literal_iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return shared / (sum(areas) - shared)


def literal_atss(cells: Cells, boxes: list[Box]) -> list[int]:
    centres, strides = cells.centre.tolist(), cells.stride.tolist()
    best = [(-1.0, BACKGROUND)] * len(centres)
    for number, box in enumerate(boxes):
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        candidates: list[int] = []
        start = 0
        for size in cells.counts:
            level = range(start, start + size)
            candidates += sorted(level, key=lambda i: math.dist(centres[i], middle))[:9]
            start += size
        overlaps = {}
        for i in candidates:
            (x, y), half = centres[i], 2.5 * strides[i]
            overlaps[i] = literal_iou((x - half, y - half, x + half, y + half), box)
        values = list(overlaps.values())
        threshold = np.mean(values) + np.std(values, ddof=1)
        for i, overlap in overlaps.items():
            x, y = centres[i]
            inside = min(x - box[0], y - box[1], box[2] - x, box[3] - y) > 0.01
            if overlap >= threshold and inside and overlap > best[i][0]:
                best[i] = (overlap, number)
    return [number for _, number in best]


def literal_dynamic_soft(
    cells: Cells,
    logits: torch.Tensor,
    decoded: torch.Tensor,
    boxes: list[Box],
    class_id: list[int],
) -> list[int]:
    centres = cells.centre.tolist()
    inside = [
        any(min(x - b[0], y - b[1], b[2] - x, b[3] - y) > 0 for b in boxes) for x, y in centres
    ]
    valid = [i for i, ok in enumerate(inside) if ok]
    cost: dict[tuple[int, int], float] = {}
    overlap: dict[tuple[int, int], float] = {}
    for i in valid:
        x0, y0, x1, y1 = decoded[i].tolist()
        for number, box in enumerate(boxes):
            shared = literal_iou((x0, y0, x1, y1), box)
            focal = 0.0
            for k, logit in enumerate(logits[i].tolist()):
                p = 1 / (1 + math.exp(-logit))
                y = shared if k == class_id[number] else 0.0
                focal -= (y * math.log(p) + (1 - y) * math.log(1 - p)) * (y - p) ** 2
            cost[i, number] = focal - 3 * math.log(shared + 1e-7)
            overlap[i, number] = shared
    wanted: dict[int, set[int]] = {}
    for number in range(len(boxes)):
        most = sorted((overlap[i, number] for i in valid), reverse=True)[:13]
        size = max(int(sum(most)), 1)
        for i in sorted(valid, key=lambda i: cost[i, number])[:size]:
            wanted.setdefault(i, set()).add(number)
    result = [BACKGROUND] * len(centres)
    for i, numbers in wanted.items():
        if len(numbers) == 1:
            result[i] = next(iter(numbers))
        else:
            result[i] = min(range(len(boxes)), key=lambda n: cost[i, n])
    return result


def literal_losses(
    spec: ModelSpec,
    outputs: torch.Tensor,
    objects: Sequence[Objects],
    cells: Cells,
    guide: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """The terms of `Criterion`, cell by cell and side by side; outputs: float64."""
    dynamic = spec.architecture.neck == "ghost_pan"
    assigned, quality = [], []
    chooser = outputs if guide is None else guide
    for picture, o in zip(chooser.detach(), objects, strict=True):
        boxes: list[Box] = [tuple(box) for box in o.xyxy.tolist()]
        decoded = torch.tensor(
            [
                _predicted(spec, cells, picture, i) if boxes else (0.0,) * 4
                for i in range(len(picture))
            ]
        )
        if dynamic and boxes:
            logits = picture[:, : len(spec.classes)]
            numbers = literal_dynamic_soft(cells, logits, decoded, boxes, o.class_id.tolist())
        else:
            numbers = literal_atss(cells, boxes)
        assigned.append(numbers)
        quality.append(
            [
                0.0
                if n == BACKGROUND
                else literal_iou(_predicted(spec, cells, picture, i), boxes[n])
                for i, n in enumerate(numbers)
            ]
        )
    losses = _terms(spec, outputs, objects, cells, assigned, quality)
    if guide is not None:
        own = _terms(spec, guide, objects, cells, assigned, quality)
        losses |= {f"guide_{name}": value for name, value in own.items()}
    return losses


def _terms(
    spec: ModelSpec,
    outputs: torch.Tensor,
    objects: Sequence[Objects],
    cells: Cells,
    assigned: Sequence[Sequence[int]],
    quality: Sequence[Sequence[float]],
) -> dict[str, torch.Tensor]:
    classes, least = len(spec.classes), 0 if spec.architecture.neck == "ghost_pan" else 1
    qfl = giou = dfl = outputs.new_zeros(())
    weights, count = 0.0, 0
    for picture, o, numbers, overlaps in zip(outputs, objects, assigned, quality, strict=True):
        positive = [i for i, n in enumerate(numbers) if n != BACKGROUND]
        count += max(len(positive), least)
        wanted = torch.zeros(len(picture), classes, dtype=torch.float64)
        for i in positive:
            box, (x, y) = o.xyxy[numbers[i]].tolist(), cells.centre[i].tolist()
            stride = float(cells.stride[i])
            wanted[i, int(o.class_id[numbers[i]])] = overlaps[i]
            weight = max(1 / (1 + math.exp(-v)) for v in picture[i, :classes].tolist())
            weights += weight
            giou = giou + weight * (1 - _literal_giou(_box(spec, cells, picture, i), box))
            sides = ((x - box[0]), (y - box[1]), (box[2] - x), (box[3] - y))
            for side, distance in enumerate(sides):
                place = min(max(distance / stride, 0), spec.architecture.reg_max - 0.1)
                low = math.floor(place)
                shares = _shares(spec, picture, i, side)
                dfl = dfl - weight * (low + 1 - place) * torch.log(shares[low])
                dfl = dfl - weight * (place - low) * torch.log(shares[low + 1])
        p = torch.sigmoid(picture[:, :classes])
        entropy = wanted * -F.logsigmoid(picture[:, :classes])
        entropy = entropy + (1 - wanted) * -F.logsigmoid(-picture[:, :classes])
        qfl = qfl + (entropy * (wanted - p) ** 2).sum()
    if not weights and least:
        return {name: outputs.sum() * 0 for name in ("qfl", "giou", "dfl")}
    total = weights if least else max(weights, 1.0)
    return {"qfl": qfl / max(count, 1), "giou": 2 * giou / total, "dfl": 0.25 * dfl / (4 * total)}


def _shares(spec: ModelSpec, picture: torch.Tensor, cell: int, side: int) -> torch.Tensor:
    first = len(spec.classes) + side * spec.num_bins
    powers = torch.exp(picture[cell, first : first + spec.num_bins])
    return powers / powers.sum()


def _box(spec: ModelSpec, cells: Cells, picture: torch.Tensor, cell: int) -> list[torch.Tensor]:
    """What a cell predicts: xyxy."""
    (x, y), stride = cells.centre[cell].tolist(), float(cells.stride[cell])
    sides = []
    for side in range(4):
        shares = _shares(spec, picture, cell, side)
        sides.append(stride * sum(k * shares[k] for k in range(spec.num_bins)))
    return [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]


def _predicted(spec: ModelSpec, cells: Cells, picture: torch.Tensor, cell: int) -> Box:
    x0, y0, x1, y1 = map(float, _box(spec, cells, picture, cell))
    return x0, y0, x1, y1


def _literal_giou(a: Sequence[torch.Tensor], b: Sequence[float]) -> torch.Tensor:
    width = torch.clamp(torch.clamp(a[2], max=b[2]) - torch.clamp(a[0], min=b[0]), min=0)
    height = torch.clamp(torch.clamp(a[3], max=b[3]) - torch.clamp(a[1], min=b[1]), min=0)
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    hull = torch.clamp(a[2], min=b[2]) - torch.clamp(a[0], max=b[0])
    hull = hull * (torch.clamp(a[3], min=b[3]) - torch.clamp(a[1], max=b[1]))
    return shared / union - (hull - union) / hull


def uniform_distance(values: np.ndarray, low: float, high: float) -> float:
    """Kolmogorov's distance of sorted values from the uniform distribution."""
    share = (np.sort(values) - low) / (high - low)
    steps = np.arange(len(values) + 1) / len(values)
    return float(max(np.abs(steps[1:] - share).max(), np.abs(steps[:-1] - share).max()))
