"""EfficientNet-Lite: EfficientNet (Tan & Le, arXiv:1905.11946) without squeeze-and-excitation, with
ReLU6.

Module names follow upstream (`nanodet/model/backbone/efficientnet_lite.py`), so that checkpoints
load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from convert.network.blocks import Backbone, activation, rounded

# Factors of width and depth of each size.
_SIZES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4), 4: (1.4, 1.8)}
# Of each stage: blocks, kernel, stride, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32
_DIVISOR = 8
_DROPPED = 0.2  # How often training drops a block, times its number over that of stages.


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedBottleneck(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection; with a shortcut where sizes allow it.

    dropped: in training, how often a picture takes the shortcut alone.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int,
        expansion: int,
        dropped: float,
    ) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expands, self.dropped = expansion > 1, dropped
        self.shortcut = stride == 1 and channels_in == channels_out
        if self.expands:
            self._expand_conv = nn.Conv2d(channels_in, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        pad = kernel // 2
        self._depthwise_conv = nn.Conv2d(
            inner, inner, kernel, stride, pad, groups=inner, bias=False
        )
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, channels_out, 1, bias=False)
        self._bn2 = _norm(channels_out)
        self._relu = activation("relu6")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self._relu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._relu(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        if not self.shortcut:
            return y
        if self.training and self.dropped:
            kept = 1 - self.dropped
            drawn = torch.rand(len(y), 1, 1, 1, dtype=y.dtype, device=y.device)
            y = y / kept * torch.floor(kept + drawn)
        return y + x


class EfficientNetLite(Backbone):
    """Stages 0 to 6. `act` is the stem's alone; the blocks have ReLU6."""

    def __init__(self, wanted: Sequence[int], size: int, act: str, colours: int = 3) -> None:
        super().__init__()
        width, depth = _SIZES[size]
        channels = _STEM_CHANNELS
        stem = nn.Conv2d(colours, channels, 3, 2, 1, bias=False)
        self.stem = nn.Sequential(stem, _norm(channels), activation(act))
        stages, found, total, number = [], [], 2, 0
        for i, (repeats, kernel, stride, expansion, outer) in enumerate(_STAGES):
            blocks = []
            if 0 < i < len(_STAGES) - 1:
                repeats = math.ceil(repeats * depth)
            for step in (stride, *[1] * (repeats - 1)):
                made, share = rounded(outer * width, _DIVISOR), number / len(_STAGES)
                dropped = _DROPPED * share
                block = InvertedBottleneck(channels, made, kernel, step, expansion, dropped)
                blocks.append(block)
                channels, total, number = made, total * step, number + 1
            stages.append(nn.Sequential(*blocks))
            found.append((channels, total))
        self.blocks = nn.ModuleList(stages)
        self._hand_on(wanted, found)

    def before(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.stem(x)
        return y

    def all_stages(self) -> list[nn.Module]:
        return list(self.blocks)
