"""Cells, boxes and distances, all in canvas pixels and torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from runtime.spec import ModelSpec

_EPSILON = 1e-6


@dataclass(frozen=True)
class Cells:
    """All cells that a model answers for, stride by stride, row by row.

    centre: (N, 2), x and y. stride: (N,). counts: cells of each stride.
    """

    centre: torch.Tensor
    stride: torch.Tensor
    counts: tuple[int, ...]

    @classmethod
    def of(cls, spec: ModelSpec, height: int, width: int, device: torch.device) -> Cells:
        """Cells for an input of `height` x `width`."""
        centres, strides, counts = [], [], []
        for stride in spec.graph.strides:
            rows, columns = -(-height // stride), -(-width // stride)
            y = (torch.arange(rows, device=device) + spec.architecture.prior_offset) * stride
            x = (torch.arange(columns, device=device) + spec.architecture.prior_offset) * stride
            grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
            centres.append(grid.reshape(-1, 2).float())
            counts.append(rows * columns)
            strides.append(torch.full((counts[-1],), float(stride), device=device))
        return cls(torch.cat(centres), torch.cat(strides), tuple(counts))


def expected_distance(distributions: torch.Tensor, num_bins: int) -> torch.Tensor:
    """Distance logits (..., 4 * bins) -> distances (..., 4), in strides."""
    shares = distributions.unflatten(-1, (4, num_bins)).softmax(-1)
    bins = torch.arange(num_bins, device=shares.device, dtype=shares.dtype)
    return shares @ bins


def distance_to_box(centre: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
    """Centres (..., 2) and distances left, top, right, bottom (..., 4) -> xyxy (..., 4)."""
    return torch.cat([centre - distance[..., :2], centre + distance[..., 2:]], -1)


def box_to_distance(centre: torch.Tensor, xyxy: torch.Tensor) -> torch.Tensor:
    """The inverse of `distance_to_box`."""
    return torch.cat([centre - xyxy[..., :2], xyxy[..., 2:] - centre], -1)


def area(xyxy: torch.Tensor) -> torch.Tensor:
    """Areas (...,) of boxes (..., 4)."""
    sides = (xyxy[..., 2:] - xyxy[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Intersection over union of boxes (..., 4), broadcast."""
    overlap = _overlap(a, b)
    return overlap / (area(a) + area(b) - overlap).clamp(min=_EPSILON)


def giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Generalized IoU of boxes (..., 4), broadcast (Rezatofighi et al., arXiv:1902.09630)."""
    overlap = _overlap(a, b)
    union = (area(a) + area(b) - overlap).clamp(min=_EPSILON)
    low = torch.minimum(a[..., :2], b[..., :2])
    high = torch.maximum(a[..., 2:], b[..., 2:])
    hull = area(torch.cat([low, high], -1)).clamp(min=_EPSILON)
    return overlap / union - (hull - union) / hull


def _overlap(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., 2:], b[..., 2:])
    sides = (high - low).clamp(min=0)
    return sides[..., 0] * sides[..., 1]
