"""Pad the image with one grey for all channels instead of each channel's mean.

Zero padding of normalised pixels pads with the mean colour. Raw pixels (next rewrite) can only be
padded with `raw_offset`. This is the one rewrite that is not exact: it changes what lies one
pixel outside the image, by at most 0.2 of a standard deviation with the official means, and so
the first row and column of the first convolution. It stands alone so that the next one is exact.
"""

from __future__ import annotations

import torch
from torch import nn

from convert.lowering.base import Lowered, editable, finish, layers, replace_layer


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


def apply(model: Lowered) -> Lowered:
    """First convolution: pad with (raw_offset - mean) / std."""
    module = editable(model)
    node, conv = layers(module, nn.Conv2d)[0]
    pixels = model.spec.input
    mean, std = conv.weight.new_tensor(pixels.mean), conv.weight.new_tensor(pixels.std)
    replace_layer(module, node, BorderPaddedConv2d(conv, (pixels.raw_offset - mean) / std))
    return finish(module, model)
