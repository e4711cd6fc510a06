"""Building blocks shared by backbone, neck and head. Tensors are NCHW float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
}


def activation(name: str) -> nn.Module:
    """A new activation module: `leaky_relu` (slope 0.1), `relu` or `relu6`."""
    return _ACTIVATIONS[name]()


def depthwise(channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A depthwise convolution without bias, padded by half its kernel."""
    pad = kernel // 2
    return nn.Conv2d(channels, channels, kernel, stride, pad, groups=channels, bias=False)


class DepthwiseSeparable(nn.Module):
    """Depthwise k x k then 1x1 convolution, each with batch norm and activation.

    Names and order of attributes are upstream's (`DepthwiseConvModule`), so that checkpoints load
    and optimizers resume.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, act: str, stride: int = 1
    ) -> None:
        super().__init__()
        self.depthwise = depthwise(channels_in, kernel, stride)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.dwnorm = nn.BatchNorm2d(channels_in)
        self.act_depthwise = activation(act)
        self.pwnorm = nn.BatchNorm2d(channels_out)
        self.act_pointwise = activation(act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act_depthwise(self.dwnorm(self.depthwise(x)))
        return self.act_pointwise(self.pwnorm(self.pointwise(x)))
