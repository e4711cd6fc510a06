"""The first convolution on raw pixels, so that the int8 input is `pixel - 128`.

The graph then takes (pixel - raw_offset) / raw_scale: one scale and one whole offset for all
channels. Zero padding of normalised pixels pads with the mean colour; raw pixels can only be padded
with `raw_offset`, one whole number for all channels. So a rewrite of its own, the one that is not
exact, first pads with one grey: it changes what lies one pixel outside the image, with the official
means by at most 0.2 of a standard deviation. `lower` holds what it changes to a limit of its own.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import nn

from convert.lowering.base import Lowered, editable, finish, layers, replace_layer
from runtime.spec import InputSpec

_NEAR = 0.25  # In standard deviations; the official means are 0.2 from the official grey.


class BorderPaddedConv2d(nn.Module):
    """A convolution whose padding has a value of its own for each input channel."""

    def __init__(self, conv: nn.Conv2d, border: torch.Tensor) -> None:
        super().__init__()
        self.conv = conv
        self.border: torch.Tensor
        self.register_buffer("border", border.view(1, -1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # conv(x - border) pads with zero where x would be the border; then add conv(border).
        inner = self.conv(x - self.border)
        return inner + (self.conv.weight.sum((2, 3)) @ self.border.view(-1)).view(1, -1, 1, 1)


def grey_border(model: Lowered) -> Lowered:
    """First convolution: pad with (raw_offset - mean) / std, and say so in the spec."""
    module = editable(model)
    node, conv = layers(module, nn.Conv2d)[0]
    pixels = dataclasses.replace(model.spec.input, raw_offset=grey(model.spec.input))
    mean, std = conv.weight.new_tensor(pixels.mean), conv.weight.new_tensor(pixels.std)
    replace_layer(module, node, BorderPaddedConv2d(conv, (pixels.raw_offset - mean) / std))
    padded = finish(module, model)
    return dataclasses.replace(padded, spec=dataclasses.replace(padded.spec, input=pixels))


def raw_pixels(model: Lowered) -> Lowered:
    """First convolution on normalised pixels -> on (pixel - raw_offset) / raw_scale."""
    module = editable(model)
    ((node, padded),) = layers(module, BorderPaddedConv2d)
    conv, pixels = padded.conv, model.spec.input
    mean, std = conv.weight.new_tensor(pixels.mean), conv.weight.new_tensor(pixels.std)
    weight = conv.weight.data
    shift = (weight.sum((2, 3)) * ((pixels.raw_offset - mean) / std)).sum(1)
    conv.weight.data = weight * (pixels.raw_scale / std).view(1, -1, 1, 1)
    conv.bias.data = conv.bias.data + shift
    replace_layer(module, node, conv)
    return finish(module, model).with_graph(raw_pixels=True)


def grey(pixels: InputSpec) -> int:
    """`raw_offset` for a normalisation, from 0 to 255: the spec's own where that is near to all
    means, else the one with the least squares of its distances in standard deviations."""
    if is_near(pixels):
        return pixels.raw_offset
    best = np.average(pixels.mean, weights=np.array(pixels.std) ** -2.0)
    return int(np.clip(round(float(best)), 0, 255))


def is_near(pixels: InputSpec) -> bool:
    """Does `raw_offset` lie as near to each channel's mean as with the official means?"""
    parts = zip(pixels.mean, pixels.std, strict=True)
    return all(abs(pixels.raw_offset - mean) < _NEAR * std for mean, std in parts)
