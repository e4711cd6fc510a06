"""A network as the engine sees it: layers, and the values that they write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Channels = tuple[tuple[int, int], ...]  # (value, channel) each.
CONVOLUTIONS = ("conv", "stem")  # Kinds of those that sum over channels.


@dataclass(frozen=True)
class Value:
    """What a layer writes. scale and zero_point: before its activation."""

    height: int
    width: int
    channels: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Layer:
    """kind: conv, stem (the image's, which halves it), depthwise, add, resize, average, max, mean
    (of all pixels), gate (times a value of one pixel), or decode, which hands rows of two outputs
    over and writes a value without channels.

    sources: the channels of each input tensor. value: what it writes, an index of `Plan.values`.
    activation: int8 (256,) by int8 + 128, or None. weight: int8 (outputs, kernel, kernel, inputs),
    or (kernel, kernel, channels) of a depthwise convolution. above, left: rows and columns of
    padding. repeats: padding repeats the border; elsewhere it is the zero point. together: rows
    that a step of a convolution computes. scales, zero_points: of the sources.
    """

    name: str
    kind: str
    sources: tuple[Channels, ...]
    value: int
    kernel: int = 1
    stride: int = 1
    above: int = 0
    left: int = 0
    repeats: bool = False
    together: int = 1
    weight: np.ndarray | None = field(default=None, repr=False)
    bias: np.ndarray | None = field(default=None, repr=False)
    weight_scales: np.ndarray | None = field(default=None, repr=False)
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    activation: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Network:
    """values: the input is the first."""

    values: tuple[Value, ...]
    layers: tuple[Layer, ...]


def rows_read(layer: Layer, y: int, height: int) -> Sequence[int]:
    """Rows of its sources, which have so many, that row `y` of a layer's output depends on."""
    if layer.kind == "resize":
        near, far = y // 2, y // 2 + (1 if y % 2 else -1)
        return sorted({near, min(max(far, 0), height - 1)})
    first = y * layer.stride - layer.above
    rows = range(first, first + layer.kernel)
    if layer.repeats:
        return sorted({min(max(row, 0), height - 1) for row in rows})
    return [row for row in rows if 0 <= row < height]
