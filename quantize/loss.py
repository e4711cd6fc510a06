"""What a change of the logits costs a detector, measured against the float network's answer."""

from __future__ import annotations

import torch
import torch.nn.functional as F

Logits = dict[str, torch.Tensor]


def distillation_loss(outputs: Logits, teacher: Logits, num_bins: int) -> torch.Tensor:
    """Kullback-Leibler divergence from the teacher, summed over cells, an image's mean.

    Classes: as sigmoids. Distances: as distributions over `num_bins`, the mean of the four sides,
    weighed by the teacher's confidence, for boxes matter where something is seen.
    Both: (N, C, h, w) by output name (Hinton et al., arXiv:1503.02531).
    """
    total = torch.zeros(())
    for name, logits in outputs.items():
        target = teacher[name]
        if name.startswith("cls"):
            share = target.sigmoid()
            total = total + _cross_entropy(logits, share) - _cross_entropy(target, share)
        else:
            confidence = teacher[name.replace("reg", "cls")].sigmoid().amax(1)
            own = _bins(logits, num_bins).log_softmax(2)
            wanted = _bins(target, num_bins).log_softmax(2)
            divergence = (wanted.exp() * (wanted - own)).sum(2).mean(1)
            total = total + (divergence * confidence).sum()
    return total / len(next(iter(outputs.values())))


def curvature_root(
    outputs: Logits, num_bins: int, generator: torch.Generator
) -> Logits:
    """Random vectors whose covariance is the loss's curvature in the logits (its diagonal).

    Where a class is certain the curvature vanishes, yet its score still ranks detections; so the
    confidence stands for the classes' curvature p (1 - p), which it bounds.
    """
    roots = {}
    for name, logits in outputs.items():
        confidence = outputs[name.replace("reg", "cls")].detach().sigmoid()
        if name.startswith("cls"):
            curvature = confidence
        else:
            share = _bins(logits.detach(), num_bins).softmax(2)
            sides = share.shape[1]
            curvature = (share * (1 - share)).reshape(logits.shape) / sides
            curvature = curvature * confidence.amax(1, keepdim=True)
        roots[name] = curvature.sqrt() * torch.randn(logits.shape, generator=generator)
    return roots


def _cross_entropy(logits: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, share, reduction="sum")


def _bins(logits: torch.Tensor, num_bins: int) -> torch.Tensor:
    """(N, sides * bins, h, w) -> (N, sides, bins, h, w)."""
    count, channels, height, width = logits.shape
    return logits.reshape(count, channels // num_bins, num_bins, height, width)
