"""What the calibration photographs tell about each channel: its range, and what errors cost.

To second order an error e of one value costs e^2 / 2 times the value's curvature, which is
estimated by the Gauss-Newton matrix of the detection loss at the float network's own answer, with
one random vector an image (Hutchinson; for quantization: HAWQ, arXiv:1905.03696).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from quantize.clipping import Moments, growth
from quantize.float_graph import FloatGraph
from quantize.loss import curvature_root
from quantize.simulate import run

_SEED = 0

Progress = Callable[[int, int], None]  # How much is done, and of how much.


@dataclass(frozen=True)
class TensorStatistics:
    """One tensor, means over images; (C) by channel, (2, C) by side of 0, the one below first.

    extreme: largest of -x and of x. curvature: (C), summed over cells. clip: cost of clipping,
    (2, C, thresholds), see `clipping`.
    """

    extreme: torch.Tensor
    curvature: torch.Tensor
    clip: torch.Tensor


@dataclass(frozen=True)
class Statistics:
    """tensors: of each rounded or pooled tensor; errors count where they are made.

    weights: of each layer, curvature (out, in), taps summed.
    """

    tensors: dict[int, TensorStatistics]
    weights: list[torch.Tensor]


def extremes(
    graph: FloatGraph, images: Sequence[torch.Tensor], progress: Progress
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Smallest and largest value of each channel of each rounded or pooled tensor, 0 included."""
    found = loudest(graph, images, progress)
    return {tensor: (-two[0, :, 0], two[0, :, 1]) for tensor, two in found.items()}


def loudest(
    graph: FloatGraph, images: Sequence[torch.Tensor], progress: Progress
) -> dict[int, torch.Tensor]:
    """The largest -x and x of each channel, 0 at least, in its loudest image and in the second.

    (2 images, C, 2 sides) of each rounded or pooled tensor.
    """
    seen: dict[int, torch.Tensor] = {}
    wanted = {*graph.rounded, *graph.pooled}

    def observe(tensor: int, value: torch.Tensor) -> None:
        if tensor in wanted:
            own = torch.stack([(-value).amax((0, 2, 3)), value.amax((0, 2, 3))], 1).clamp(min=0)
            before = seen.get(tensor, torch.zeros(2, *own.shape, dtype=own.dtype))
            seen[tensor] = torch.cat([before, own[None]]).sort(0, descending=True).values[:2]

    with torch.no_grad():
        for i, image in enumerate(images):
            run(graph, image, observe=observe)
            progress(i + 1, len(images))
    return seen


def collect(
    graph: FloatGraph, images: Sequence[torch.Tensor], num_bins: int, progress: Progress
) -> Statistics:
    """Two passes over the images, each (1, 3, H, W): extremes, then curvatures."""
    seen_twice = loudest(graph, images, progress)
    moments = {tensor: Moments(two[0]) for tensor, two in seen_twice.items()}
    weights = [w.clone().requires_grad_() for w in graph.weights]
    summed = [torch.zeros(w.shape[:2], dtype=w.dtype) for w in weights]
    rounded = set(graph.rounded)
    generator = torch.Generator().manual_seed(_SEED)
    for i, image in enumerate(images):
        seen: dict[int, torch.Tensor] = {}

        def observe(tensor: int, value: torch.Tensor, seen: dict = seen) -> None:
            if tensor in rounded:
                value.retain_grad()
                seen[tensor] = value

        outputs = run(graph, image, weights=weights, observe=observe)
        roots = curvature_root(outputs, num_bins, generator)
        torch.autograd.backward(list(outputs.values()), [roots[name] for name in outputs])
        for tensor, value in seen.items():
            if value.grad is not None:
                moments[tensor].add(value.detach()[0], value.grad[0] ** 2)
        for total, weight in zip(summed, weights, strict=True):
            assert weight.grad is not None
            total += (weight.grad**2).sum((2, 3))
            weight.grad = None
        progress(i + 1, len(images))
    count, grown = len(images), growth(seen_twice.values())
    tensors = {
        tensor: TensorStatistics(
            seen_twice[tensor][0].T, m.curvature() / count, m.clip_cost(grown) / count
        )
        for tensor, m in moments.items()
    }
    return Statistics(tensors, [total / count for total in summed])
