"""The cross-stage partial network of NanoDet-g (CSPNet: Wang et al., arXiv:1911.11929).

Module names follow upstream (`nanodet/model/backbone/custom_csp.py`), so that checkpoints load.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from convert.network.blocks import Backbone, Convolution
from runtime.errors import KitError


class TinyBlock(nn.Module):
    """Two convolutions in a row, whose outputs are joined; each gives half of the channels."""

    def __init__(self, channels: int, kernel: int, act: str) -> None:
        super().__init__()
        self.in_conv = Convolution(channels, channels // 2, kernel, act)
        self.mid_conv = Convolution(channels // 2, channels // 2, kernel, act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.in_conv(x)
        return torch.cat((self.mid_conv(x), x), dim=1)


class CspBlock(nn.Module):
    """A convolution, and joined with what it gives, `count` blocks and a convolution behind it;
    channels double."""

    def __init__(self, channels: int, count: int, kernel: int, stride: int, act: str) -> None:
        super().__init__()
        self.in_conv = Convolution(channels, channels, kernel, act, stride)
        blocks = (TinyBlock(channels, kernel, act) for _ in range(count))
        self.res_blocks = nn.Sequential(*blocks)
        self.res_out_conv = Convolution(channels, channels, kernel, act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.in_conv(x)
        return torch.cat((self.res_out_conv(self.res_blocks(x)), x), dim=1)


class CustomCspNet(Backbone):
    """The stages that `layers` name, each a line: `Conv INPUTS OUTPUTS KERNEL STRIDE`,
    `MaxPool KERNEL STRIDE` or `CspBlock INPUTS BLOCKS KERNEL STRIDE`.

    Raises `KitError` for another line, or one that does not fit the one before it.
    """

    def __init__(
        self, wanted: Sequence[int], layers: Sequence[str], act: str, colours: int = 3
    ) -> None:
        super().__init__()
        made, found, channels, total = [], [], colours, 1
        for line in layers:
            stage, channels, stride = _stage(line, channels, act)
            total *= stride
            made.append(stage)
            found.append((channels, total))
        self.stages = nn.ModuleList(made)
        self._hand_on(wanted, found)

    def all_stages(self) -> list[nn.Module]:
        return list(self.stages)


def _stage(line: str, channels: int, act: str) -> tuple[nn.Module, int, int]:
    """The stage of a line, its channels and stride. channels: of the stage before."""
    name, *words = line.split()
    numbers = [int(word) if word.isdecimal() else 0 for word in words]
    positive = all(n > 0 for n in numbers)
    match name, numbers:
        case "Conv", (inputs, outputs, kernel, stride) if positive and inputs == channels:
            return Convolution(inputs, outputs, kernel, act, stride), outputs, stride
        case "MaxPool", (kernel, stride) if positive:
            return nn.MaxPool2d(kernel, stride, kernel // 2), channels, stride
        case "CspBlock", (inputs, count, kernel, stride) if positive and inputs == channels:
            if inputs % 2 == 0:
                return CspBlock(inputs, count, kernel, stride, act), 2 * inputs, stride
    raise KitError(
        f"`{line}` is no stage of a CSP network behind {channels} channels; known: Conv, MaxPool, "
        "CspBlock"
    )
