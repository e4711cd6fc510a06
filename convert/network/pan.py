"""The path aggregation neck of NanoDet-m: no convolution after the lateral 1x1 ones.

Module names follow upstream (`nanodet/model/fpn/pan.py`), so that checkpoints load.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Lateral(nn.Module):
    """A 1x1 convolution with bias and nothing behind it."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


def _resize(x: torch.Tensor, factor: float) -> torch.Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class PAN(nn.Module):
    """Features at strides 8, 16, 32 -> the same strides with `channels` channels each.

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
