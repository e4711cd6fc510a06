"""MobileNetV2 (Sandler et al., arXiv:1801.04381).

Module names follow upstream (`nanodet/model/backbone/mobilenetv2.py`), so that checkpoints load.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from convert.network.blocks import Backbone, activation

# Of each stage: expansion, channels, blocks, stride.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32
LAST_CHANNELS = 1280


def _layer(
    channels_in: int, channels: int, act: str, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), activation(act))


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 without activation; with a shortcut where sizes allow."""

    def __init__(self, channels_in: int, channels: int, stride: int, expansion: int, act: str):
        super().__init__()
        inner = channels_in * expansion
        self.shortcut = stride == 1 and channels_in == channels
        self.conv = nn.Sequential(
            *([_layer(channels_in, inner, act)] if expansion > 1 else []),
            _layer(inner, inner, act, 3, stride, inner),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(Backbone):
    """Stages 0 to 6, of which the last ends in a 1x1 convolution of `last` channels; `width`
    multiplies the channels of all others."""

    def __init__(
        self, wanted: Sequence[int], width: float, last: int, act: str, colours: int = 3
    ) -> None:
        super().__init__()
        channels, total = int(_STEM_CHANNELS * width), 2
        self.first_layer = _layer(colours, channels, act, 3, 2)
        found = []
        for i, (expansion, outer, repeats, stride) in enumerate(_STAGES):
            blocks: list[nn.Module] = []
            for step in (stride, *[1] * (repeats - 1)):
                made = int(outer * width)
                blocks.append(InvertedResidual(channels, made, step, expansion, act))
                channels, total = made, total * step
            if i == len(_STAGES) - 1:
                blocks.append(_layer(channels, last, act))
                channels = last
            setattr(self, f"stage{i}", nn.Sequential(*blocks))
            found.append((channels, total))
        self._hand_on(wanted, found)

    def before(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.first_layer(x)
        return y

    def all_stages(self) -> list[nn.Module]:
        return [getattr(self, f"stage{i}") for i in range(len(_STAGES))]
