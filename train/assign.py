"""Which cell answers for which object of a picture.

An assignment is (N,) int64: the number of the object, or `BACKGROUND`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from train.geometry import Cells, distance_to_box, iou
from train.losses import BACKGROUND

_ATSS_NEAREST = 9
_ATSS_MARGIN = 0.01


def atss(cells: Cells, boxes: torch.Tensor, anchor_strides: float = 5.0) -> torch.Tensor:
    """Adaptive training sample selection (Zhang et al., arXiv:1912.02424), for NanoDet-m.

    Of the nine nearest cells per stride, those whose anchor overlaps the object by more than the
    mean and standard deviation of all of them; their centres must lie inside.
    boxes: (M, 4) xyxy. anchor_strides: the side of a cell's anchor, in strides.
    """
    count = len(cells.stride)
    if not len(boxes):
        return torch.full((count,), BACKGROUND, device=boxes.device)
    half = (cells.stride * anchor_strides / 2)[:, None].expand(-1, 4)
    overlaps = iou(distance_to_box(cells.centre, half)[:, None], boxes[None])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    away = (cells.centre[:, None] - middle[None]).square().sum(-1)
    nearest, start = [], 0
    for size in cells.counts:
        near = away[start : start + size].topk(min(_ATSS_NEAREST, size), 0, largest=False)
        nearest.append(near.indices + start)
        start += size
    candidates = torch.cat(nearest)
    found = overlaps.gather(0, candidates)
    threshold = found.mean(0) + found.std(0)
    inside = _sides(cells.centre, boxes).min(-1).values > _ATSS_MARGIN
    positive = (found >= threshold) & inside.gather(0, candidates)
    chosen = torch.full_like(overlaps, -1.0)
    chosen.scatter_(0, candidates, torch.where(positive, found, -1.0))
    best, number = chosen.max(1)
    return torch.where(best >= 0, number, BACKGROUND)


def dynamic_soft(
    cells: Cells,
    logits: torch.Tensor,
    decoded: torch.Tensor,
    boxes: torch.Tensor,
    class_id: torch.Tensor,
    candidates: int = 13,
    iou_factor: float = 3.0,
) -> torch.Tensor:
    """Dynamic soft label assigner of NanoDet-Plus (after SimOTA, Ge et al., arXiv:2107.08430).

    Each object takes as many cells inside some box as the best `candidates` overlaps sum up to,
    those of least cost; a cell wanted by several goes to the cheapest.
    logits: (N, C). decoded: (N, 4) xyxy, as predicted. boxes: (M, 4). class_id: (M,).
    iou_factor: weight of the overlap in the cost.
    """
    result = torch.full((len(logits),), BACKGROUND, device=logits.device)
    if not len(boxes):
        return result
    valid = (_sides(cells.centre, boxes).min(-1).values > 0).any(1).nonzero()[:, 0]
    if not len(valid):
        return result
    overlaps = iou(decoded[valid][:, None], boxes[None])
    cost = _class_cost(logits[valid], overlaps, class_id)
    cost = cost - iou_factor * torch.log(overlaps + 1e-7)
    best = overlaps.topk(min(candidates, len(valid)), 0).values
    wanted = torch.zeros_like(cost, dtype=torch.bool)
    for column, size in enumerate(best.sum(0).int().clamp(min=1).tolist()):
        wanted[cost[:, column].topk(size, largest=False).indices, column] = True
    # A cell wanted more than once belongs to its cheapest object, wanted or not.
    several = wanted.sum(1) > 1
    number = torch.where(several, cost.argmin(1), wanted.int().argmax(1))
    result[valid] = torch.where(wanted.any(1), number, BACKGROUND)
    return result


def _class_cost(
    logits: torch.Tensor, overlaps: torch.Tensor, class_id: torch.Tensor
) -> torch.Tensor:
    """Quality focal loss of each cell if it were each object's: (N, M)."""
    background = F.softplus(logits) * logits.sigmoid().square()
    own = logits[:, class_id]
    as_object = F.binary_cross_entropy_with_logits(own, overlaps, reduction="none")
    as_object = as_object * (overlaps - own.sigmoid()).square()
    return background.sum(1, keepdim=True) - background[:, class_id] + as_object


def _sides(centre: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Distances of each centre to each box's sides, (N, M, 4), positive inside."""
    return torch.cat([centre[:, None] - boxes[:, :2], boxes[:, 2:] - centre[:, None]], -1)
