"""What a change of the logits costs a detector, measured against the float network's answer."""

from __future__ import annotations

import torch
import torch.nn.functional as F

Logits = dict[str, torch.Tensor]


def distillation_loss(outputs: Logits, teacher: Logits, num_bins: int) -> torch.Tensor:
    """Kullback-Leibler divergence from the teacher, summed over cells, an image's mean.

    Classes: as sigmoids. Distances: as distributions over `num_bins`, summed over sides.
    Both are weighed by the confidence of the cell, which in NanoDet is how well the box there is
    expected to fit an object (Generalized Focal Loss, arXiv:2006.04388): errors of cells in which
    nothing is seen change no detection, and there are far more of those. Where the two networks'
    confidences differ the larger counts, for an object made up is an error too.

    Both: (N, C, h, w) by output name (Hinton et al., arXiv:1503.02531).
    """
    total = torch.zeros(())
    for name, logits in outputs.items():
        target = teacher[name]
        scores = name.replace("reg", "cls")
        confidence = torch.maximum(_confidence(teacher[scores]), _confidence(outputs[scores]))
        if name.startswith("cls"):
            share = target.sigmoid()
            divergence = _cross_entropy(logits, share) - _cross_entropy(target, share)
        else:
            own = _bins(logits, num_bins).log_softmax(2)
            wanted = _bins(target, num_bins).log_softmax(2)
            divergence = (wanted.exp() * (wanted - own)).sum((1, 2))
        total = total + (divergence * confidence).sum()
    return total / len(next(iter(outputs.values())))


def curvature_root(outputs: Logits, num_bins: int, generator: torch.Generator) -> Logits:
    """Random vectors whose covariance is the loss's curvature in the logits.

    Where a class is certain the curvature vanishes, yet its score still ranks detections; so the
    confidence stands for the classes' curvature p (1 - p), which it bounds.
    """
    roots = {}
    for name, logits in outputs.items():
        scores = outputs[name.replace("reg", "cls")].detach()
        weight = _confidence(scores)[:, None].sqrt()
        noise = torch.randn(logits.shape, generator=generator, dtype=logits.dtype)
        if name.startswith("cls"):
            roots[name] = scores.sigmoid().sqrt() * noise * weight
        else:
            # diag(s) - s s^T is the square of diag(r) (1 - r r^T), r the roots of the shares s.
            root = _bins(logits.detach(), num_bins).softmax(2).sqrt()
            noise = _bins(noise, num_bins)
            mixed = root * (noise - root * (root * noise).sum(2, keepdim=True))
            roots[name] = mixed.reshape(logits.shape) * weight
    return roots


def _confidence(scores: torch.Tensor) -> torch.Tensor:
    """Of each cell, (N, h, w)."""
    return scores.detach().sigmoid().amax(1)


def _cross_entropy(logits: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Of each cell, (N, h, w)."""
    return F.binary_cross_entropy_with_logits(logits, share, reduction="none").sum(1)


def _bins(logits: torch.Tensor, num_bins: int) -> torch.Tensor:
    """(N, sides * bins, h, w) -> (N, sides, bins, h, w)."""
    count, channels, height, width = logits.shape
    return logits.reshape(count, channels // num_bins, num_bins, height, width)
