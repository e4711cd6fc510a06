"""The NanoDet head: a tower of depthwise-separable blocks and one 1x1 convolution a stride.

Classes and distances share the tower (upstream's `share_cls_reg: True`). Module names follow
upstream (`nanodet/model/head/nanodet_head.py`), so that checkpoints load.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from convert.network.blocks import DepthwiseSeparable
from runtime.spec import Architecture


class NanoDetHead(nn.Module):
    """Levels (N, C, h, w) -> (N, classes + 4 * bins, h, w) each: logits, then left, top, right,
    bottom distributions."""

    def __init__(self, architecture: Architecture, num_classes: int) -> None:
        super().__init__()
        channels = architecture.neck_channels
        outputs = num_classes + 4 * (architecture.reg_max + 1)
        self.cls_convs = nn.ModuleList(
            nn.ModuleList(
                DepthwiseSeparable(
                    channels, channels, architecture.head_kernel, architecture.activation
                )
                for _ in range(architecture.head_convs)
            )
            for _ in architecture.strides
        )
        self.gfl_cls = nn.ModuleList(nn.Conv2d(channels, outputs, 1) for _ in architecture.strides)

    def forward(self, levels: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        outputs = []
        for x, tower, last in zip(levels, self.cls_convs, self.gfl_cls):
            for block in cast(nn.ModuleList, tower):
                x = block(x)
            outputs.append(last(x))
        return tuple(outputs)
