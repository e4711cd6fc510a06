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


def curvature_root(outputs: Logits, num_bins: int, generator: torch.Generator) -> Logits:
    """Random vectors whose covariance is the loss's curvature in the logits.

    Where a class is certain the curvature vanishes, yet its score still ranks detections; so the
    confidence stands for the classes' curvature p (1 - p), which it bounds.
    """
    roots = {}
    for name, logits in outputs.items():
        confidence = outputs[name.replace("reg", "cls")].detach().sigmoid()
        noise = torch.randn(logits.shape, generator=generator, dtype=logits.dtype)
        if name.startswith("cls"):
            roots[name] = confidence.sqrt() * noise
        else:
            # diag(s) - s s^T is the square of diag(r) (1 - r r^T), r the roots of the shares s.
            root = _bins(logits.detach(), num_bins).softmax(2).sqrt()
            noise = _bins(noise, num_bins)
            mixed = root * (noise - root * (root * noise).sum(2, keepdim=True))
            weight = (confidence.amax(1, keepdim=True) / root.shape[1]).sqrt()
            roots[name] = mixed.reshape(logits.shape) * weight
    return roots


def _cross_entropy(logits: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, share, reduction="sum")


def _bins(logits: torch.Tensor, num_bins: int) -> torch.Tensor:
    """(N, sides * bins, h, w) -> (N, sides, bins, h, w)."""
    count, channels, height, width = logits.shape
    return logits.reshape(count, channels // num_bins, num_bins, height, width)
