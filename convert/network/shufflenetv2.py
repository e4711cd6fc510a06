"""ShuffleNetV2 without its last convolution (Ma et al., arXiv:1807.11164).

Module names follow upstream (`nanodet/model/backbone/shufflenetv2.py`), so that checkpoints load.
"""

from __future__ import annotations

import torch
from torch import nn

from convert.network.blocks import activation, depthwise

STEM_CHANNELS = 24
STAGE_REPEATS = (4, 8, 4)


@torch.fx.wrap
def channel_shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Interleave `groups` equal runs of channels: channel g*n + i goes to i*groups + g.

    A leaf for `torch.fx` (which wraps it in this module only), so that the lowering finds each
    shuffle as one node.
    """
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(batch, channels, height, width)


def shuffle_indices(channels: int, groups: int) -> torch.Tensor:
    """Source channel of each channel after `channel_shuffle`: int64, shape (channels,)."""
    return torch.arange(channels).view(groups, -1).t().reshape(-1)


def _pointwise(channels_in: int, channels_out: int, act: str) -> list[nn.Module]:
    conv = nn.Conv2d(channels_in, channels_out, 1, bias=False)
    return [conv, nn.BatchNorm2d(channels_out), activation(act)]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [depthwise(channels, 3, stride), nn.BatchNorm2d(channels)]


class DownsampleUnit(nn.Module):
    """First unit of a stage: both branches read all channels and halve the resolution."""

    def __init__(self, channels_in: int, channels_out: int, act: str) -> None:
        super().__init__()
        half = channels_out // 2
        self.branch1 = nn.Sequential(
            *_depthwise(channels_in, 2),
            *_pointwise(channels_in, half, act),
        )
        self.branch2 = nn.Sequential(
            *_pointwise(channels_in, half, act),
            *_depthwise(half, 2),
            *_pointwise(half, half, act),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return channel_shuffle(torch.cat((self.branch1(x), self.branch2(x)), dim=1), 2)


class BasicUnit(nn.Module):
    """Further units: half of the channels pass through, the other half are worked on."""

    def __init__(self, channels: int, act: str) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = nn.Sequential(
            *_pointwise(half, half, act),
            *_depthwise(half, 1),
            *_pointwise(half, half, act),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, worked = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat((kept, self.branch2(worked)), dim=1), 2)


class ShuffleNetV2(nn.Module):
    """Image (N, C, H, W) -> features at strides 8, 16 and 32 with `stage_channels` channels."""

    def __init__(self, stage_channels: tuple[int, ...], act: str, colours: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(colours, STEM_CHANNELS, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(STEM_CHANNELS),
            activation(act),
        )
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        stages = []
        channels_in = STEM_CHANNELS
        for channels, repeats in zip(stage_channels, STAGE_REPEATS):
            units: list[nn.Module] = [DownsampleUnit(channels_in, channels, act)]
            units += [BasicUnit(channels, act) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*units))
            channels_in = channels
        self.stage2, self.stage3, self.stage4 = stages

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        c4 = self.maxpool(self.conv1(x))
        c8 = self.stage2(c4)
        c16 = self.stage3(c8)
        return c8, c16, self.stage4(c16)
