"""Compute on the image rotated by 180 degrees, so that no layer needs explicit padding.

PyTorch pads stride-2 layers on the top and left of even sizes; TensorFlow's SAME pads the bottom
and right, and a converter bridges that with a PAD, a copy of the largest tensors. Rotating the
image and every kernel by 180 degrees swaps the sides: the windows become exactly SAME's.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from convert.lowering.base import (
    Lowered,
    editable,
    finish,
    layers,
    record_input_sizes,
    replace_layer,
)
from convert.padding import same_padding
from runtime.errors import GateFailed


class Padded(nn.Module):
    """A convolution or max-pool behind explicit padding for one input size.

    pads: left, right, top, bottom. value: what a cell of the padding holds.
    """

    def __init__(self, layer: nn.Module, pads: tuple[int, ...], value: float) -> None:
        super().__init__()
        self.layer, self.pads, self.value = layer, pads, value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded: torch.Tensor = self.layer(F.pad(x, self.pads, value=self.value))
        return padded


def apply(model: Lowered) -> Lowered:
    """Flip every kernel; give strided layers SAME padding.

    Raises `GateFailed` for sizes on which the swapped padding is not SAME's.
    """
    module = editable(model)
    sizes = record_input_sizes(module, model.example_input())
    for node, conv in layers(module, nn.Conv2d):
        conv.weight.data = conv.weight.data.flip(2, 3)
        if conv.stride != (1, 1) and conv.padding != (0, 0):
            pads = _swapped_pads(node.name, sizes[node], conv)
            conv.padding = (0, 0)
            replace_layer(module, node, Padded(conv, pads, 0.0))
    for node, pool in layers(module, nn.MaxPool2d):
        pads = _swapped_pads(node.name, sizes[node], pool)
        pool.padding = 0
        replace_layer(module, node, Padded(pool, pads, -torch.inf))
    return finish(module, model).with_graph(rotated_180=True)


def _swapped_pads(name: str, size: torch.Size, layer: Any) -> tuple[int, ...]:
    """(left, right, top, bottom) of the layer on the rotated image; checked to be SAME's."""
    pads: list[int] = []
    for axis in (3, 2):
        kernel, stride, padding = (
            value if isinstance(value, int) else value[axis - 2]
            for value in (layer.kernel_size, layer.stride, layer.padding)
        )
        cells = (size[axis] + 2 * padding - kernel) // stride + 1
        swapped = ((cells - 1) * stride + kernel - size[axis] - padding, padding)
        same = same_padding(size[axis], kernel, stride)
        if swapped != same or cells != -(-size[axis] // stride):
            raise GateFailed(
                f"layer {name}: input size {size[axis]} pads {swapped} when rotated, SAME is {same}"
            )
        pads += swapped
    return tuple(pads)
