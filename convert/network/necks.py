"""The necks: the path aggregation network of NanoDet-m, and that of NanoDet-Plus, of ghost
bottlenecks (GhostNet, arXiv:1911.11907) and depthwise-separable convolutions.

Module names follow upstream (`nanodet/model/fpn/pan.py`, `ghost_pan.py`), so that checkpoints load.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from convert.network.blocks import Convolution, DepthwiseSeparable
from convert.network.ghostnet import GhostBottleneck


def _resize(x: torch.Tensor, factor: float) -> torch.Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class Lateral(nn.Module):
    """A 1x1 convolution with bias and nothing behind it."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class PAN(nn.Module):
    """Features at strides 8, 16, 32 -> the same strides with `channels` channels each, by no other
    convolution than the lateral 1x1 ones.

    Top-down adds each level, doubled in size, to the finer one; bottom-up adds the result,
    halved, to the coarser one. Both resizes are bilinear with half-pixel centres.
    """

    def __init__(self, stage_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(Lateral(c, channels) for c in stage_channels)

    def forward(self, features: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        levels = [conv(x) for conv, x in zip(self.lateral_convs, features)]
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = levels[i - 1] + _resize(levels[i], 2.0)
        for i in range(len(levels) - 1):
            levels[i + 1] = levels[i + 1] + _resize(levels[i], 0.5)
        return tuple(levels)


class GhostBlocks(nn.Module):
    """One ghost bottleneck, under the name it has upstream."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, act: str) -> None:
        super().__init__()
        self.blocks = nn.Sequential(GhostBottleneck(channels_in, channels_out, kernel, act))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(x)


class GhostPAN(nn.Module):
    """Features at strides 8, 16, 32 -> these and `extra_levels` coarser ones, `channels` wide.

    Top-down joins each level, doubled in size (bilinear, half-pixel centres), with the finer one;
    bottom-up joins the result, halved, with the coarser one. An extra level adds the halved
    backbone feature of stride 32 and the halved level before.
    """

    def __init__(
        self,
        stage_channels: tuple[int, ...],
        channels: int,
        kernel: int,
        act: str,
        extra_levels: int,
    ) -> None:
        super().__init__()
        steps = range(len(stage_channels) - 1)

        def halve() -> DepthwiseSeparable:
            return DepthwiseSeparable(channels, channels, kernel, act, stride=2)

        def join() -> GhostBlocks:
            return GhostBlocks(2 * channels, channels, kernel, act)

        self.reduce_layers = nn.ModuleList(Convolution(c, channels, 1, act) for c in stage_channels)
        self.top_down_blocks = nn.ModuleList(join() for _ in steps)
        self.downsamples = nn.ModuleList(halve() for _ in steps)
        self.bottom_up_blocks = nn.ModuleList(join() for _ in steps)
        self.extra_lvl_in_conv = nn.ModuleList(halve() for _ in range(extra_levels))
        self.extra_lvl_out_conv = nn.ModuleList(halve() for _ in range(extra_levels))

    def forward(self, features: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        reduced = [layer(x) for layer, x in zip(self.reduce_layers, features)]
        inner = [reduced[-1]]
        for block, finer in zip(self.top_down_blocks, reduced[-2::-1]):
            inner.insert(0, block(torch.cat((_resize(inner[0], 2.0), finer), dim=1)))
        levels = [inner[0]]
        for halve, block, coarser in zip(self.downsamples, self.bottom_up_blocks, inner[1:]):
            levels.append(block(torch.cat((halve(levels[-1]), coarser), dim=1)))
        for halve_in, halve_out in zip(self.extra_lvl_in_conv, self.extra_lvl_out_conv):
            levels.append(halve_in(reduced[-1]) + halve_out(levels[-1]))
        return tuple(levels)
