"""The NanoDet head: a tower of convolutions and one 1x1 convolution per stride.

Classes and distances share the tower (upstream's `share_cls_reg: True`). Module names follow
upstream (`nanodet_head.py`, `nanodet_plus_head.py`), so that checkpoints load.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import nn

from convert.network.blocks import Convolution, DepthwiseSeparable
from runtime.spec import Architecture


class NanoDetHead(nn.Module):
    """Levels (N, C, h, w) -> (N, classes + 4 * bins, h, w) each: logits, then left, top, right,
    bottom distributions."""

    def __init__(self, architecture: Architecture, num_classes: int) -> None:
        super().__init__()
        width = architecture.head_channels
        outputs = num_classes + 4 * (architecture.reg_max + 1)
        self.cls_convs = nn.ModuleList(_tower(architecture) for _ in architecture.strides)
        self.gfl_cls = nn.ModuleList(nn.Conv2d(width, outputs, 1) for _ in architecture.strides)

    def forward(self, levels: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        outputs = []
        for x, tower, last in zip(levels, self.cls_convs, self.gfl_cls):
            for block in cast(nn.ModuleList, tower):
                x = block(x)
            outputs.append(last(x))
        return tuple(outputs)


def _tower(architecture: Architecture) -> nn.ModuleList:
    widths = [architecture.neck_channels] + [architecture.head_channels] * architecture.head_convs
    block = Convolution if architecture.head_dense else DepthwiseSeparable
    return nn.ModuleList(
        block(channels_in, channels_out, architecture.head_kernel, architecture.head_activation)
        for channels_in, channels_out in pairwise(widths)
    )
