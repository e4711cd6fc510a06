"""The losses of Generalized Focal Loss (Li et al., arXiv:2006.04388) and GIoU, as sums."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from train.geometry import giou

BACKGROUND = -1


def quality_focal_loss(
    logits: torch.Tensor, class_id: torch.Tensor, quality: torch.Tensor, beta: float = 2.0
) -> torch.Tensor:
    """Cross entropy with the box's IoU as the target, weighed by a power of the gap to it.

    logits: (N, C). class_id: (N,), `BACKGROUND` where nothing is. quality: (N,), 0..1.
    beta: the power.
    """
    target = torch.zeros_like(logits)
    inside = class_id != BACKGROUND
    target[inside, class_id[inside]] = quality[inside].to(target.dtype)
    gap = (target - logits.sigmoid()).abs() ** beta
    return (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * gap).sum()


def distribution_focal_loss(
    distributions: torch.Tensor, distance: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Cross entropy with the two bins beside the distance, shared by nearness.

    distributions: logits (N, 4, bins). distance: (N, 4), in strides, at most bins - 1.
    weight: (N,).
    """
    low = distance.long().clamp(max=distributions.shape[-1] - 2)
    above = distance - low
    log_share = distributions.log_softmax(-1)
    at_low = log_share.gather(-1, low[..., None])[..., 0]
    at_high = log_share.gather(-1, low[..., None] + 1)[..., 0]
    return -((at_low * (1 - above) + at_high * above).sum(-1) * weight).sum()


def giou_loss(boxes: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """1 - GIoU of pairs of boxes (N, 4), weighed by (N,)."""
    return ((1 - giou(boxes, targets)) * weight).sum()
