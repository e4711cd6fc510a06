"""GhostNet (Han et al., arXiv:1911.11907), and its bottleneck as NanoDet-Plus's neck has it.

Module names follow upstream (`nanodet/model/backbone/ghostnet.py`), so that checkpoints load.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from convert.network.blocks import Backbone, activation, depthwise, rounded

_DIVISOR = 4
_SQUEEZED = 0.25
# Each stage's bottlenecks: kernel, inner channels, channels, squeezed?, stride.
_STAGES = (
    ((3, 16, 16, False, 1),),
    ((3, 48, 24, False, 2),),
    ((3, 72, 24, False, 1),),
    ((5, 72, 40, True, 2),),
    ((5, 120, 40, True, 1),),
    ((3, 240, 80, False, 2),),
    (
        (3, 200, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 480, 112, True, 1),
        (3, 672, 112, True, 1),
    ),
    ((5, 672, 160, True, 2),),
    ((5, 960, 160, False, 1), (5, 960, 160, True, 1)) * 2,
)
_LAST_CHANNELS = 960


class GhostModule(nn.Module):
    """Half of the channels by a 1x1 convolution, the other half from them by a 3x3 depthwise."""

    def __init__(self, channels_in: int, channels_out: int, act: str | None) -> None:
        super().__init__()
        half = channels_out // 2
        self.primary_conv = nn.Sequential(
            nn.Conv2d(channels_in, half, 1, bias=False),
            nn.BatchNorm2d(half),
            *([activation(act)] if act else []),
        )
        self.cheap_operation = nn.Sequential(
            depthwise(half, 3),
            nn.BatchNorm2d(half),
            *([activation(act)] if act else []),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        primary = self.primary_conv(x)
        return torch.cat((primary, self.cheap_operation(primary)), dim=1)


class SqueezeExcite(nn.Module):
    """Each channel times a gate between 0 and 1, which the means of all channels decide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = rounded(channels * _SQUEEZED, _DIVISOR)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.act1 = nn.ReLU()
        self.conv_expand = nn.Conv2d(reduced, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(self.conv_expand(self.act1(self.conv_reduce(self.avg_pool(x)))))


class GhostBottleneck(nn.Module):
    """Two ghost modules of `inner` and `channels_out` channels, and between them what halves the
    rows and columns and what gates. The shortcut is depthwise-separable, without activation, unless
    nothing changes in size."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        act: str,
        inner: int = 0,
        stride: int = 1,
        squeezed: bool = False,
    ) -> None:
        super().__init__()
        inner = inner or channels_out
        self.ghost1 = GhostModule(channels_in, inner, act)
        self.halves = stride > 1
        if self.halves:
            self.conv_dw = depthwise(inner, kernel, stride)
            self.bn_dw = nn.BatchNorm2d(inner)
        self.se = SqueezeExcite(inner) if squeezed else None
        self.ghost2 = GhostModule(inner, channels_out, None)
        self.shortcut = nn.Sequential()
        if channels_in != channels_out or self.halves:
            self.shortcut = nn.Sequential(
                depthwise(channels_in, kernel, stride),
                nn.BatchNorm2d(channels_in),
                nn.Conv2d(channels_in, channels_out, 1, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.ghost1(x)
        if self.halves:
            y = self.bn_dw(self.conv_dw(y))
        if self.se is not None:
            y = self.se(y)
        return self.ghost2(y) + self.shortcut(x)


class GhostNet(Backbone):
    """Stages 0 to 8 of bottlenecks, and 9, a convolution; `width` multiplies their channels."""

    def __init__(self, wanted: Sequence[int], width: float, act: str, colours: int = 3) -> None:
        super().__init__()
        channels = rounded(16 * width, _DIVISOR)
        self.conv_stem = nn.Conv2d(colours, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = activation(act)
        found, total, stages = [], 2, []
        for settings in _STAGES:
            blocks = []
            for kernel, inner, outer, squeezed, stride in settings:
                wide, made = rounded(inner * width, _DIVISOR), rounded(outer * width, _DIVISOR)
                blocks.append(GhostBottleneck(channels, made, kernel, act, wide, stride, squeezed))
                channels, total = made, total * stride
            stages.append(nn.Sequential(*blocks))
            found.append((channels, total))
        last = rounded(_LAST_CHANNELS * width, _DIVISOR)
        conv = nn.Conv2d(channels, last, 1, bias=False)
        layers = {"conv": conv, "bn1": nn.BatchNorm2d(last), "act1": activation(act)}
        stages.append(nn.Sequential(nn.Sequential(OrderedDict(layers))))
        self.blocks = nn.Sequential(*stages)
        self._hand_on(wanted, [*found, (last, total)])

    def before(self, x: torch.Tensor) -> torch.Tensor:
        return self.act1(self.bn1(self.conv_stem(x)))

    def all_stages(self) -> list[nn.Module]:
        return list(self.blocks)
