"""Building blocks shared by backbone, neck and head. Tensors are NCHW float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
}


def activation(name: str) -> nn.Module:
    """A new activation module: `leaky_relu` has a slope of 0.1."""
    return _ACTIVATIONS[name]()


def rounded(channels: float, divisor: int) -> int:
    """The nearest multiple of `divisor` that is no less than nine tenths."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


def depthwise(channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A depthwise convolution without bias, padded by half its kernel."""
    pad = kernel // 2
    return nn.Conv2d(channels, channels, kernel, stride, pad, groups=channels, bias=False)


class Convolution(nn.Module):
    """Convolution padded by half its kernel, batch norm, activation.

    Attribute names are upstream's (`ConvModule`), so that checkpoints load.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, act: str, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)
        self.act = activation(act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


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


class Backbone(nn.Module):
    """Image (N, colours, H, W) -> features of some of its stages, finest first.

    channels, strides: of these features, the stride in pixels per cell. Stages have upstream's
    names and numbers; those behind the last that is handed on idle.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def _hand_on(self, wanted: Sequence[int], stages: Sequence[tuple[int, int]]) -> None:
        """wanted: numbers of stages. stages: channels and stride of each."""
        self.wanted = tuple(wanted)
        self.channels, self.strides = zip(*(stages[i] for i in wanted), strict=True)

    def all_stages(self) -> Sequence[nn.Module]:
        """From number 0 on."""
        raise NotImplementedError

    def before(self, x: torch.Tensor) -> torch.Tensor:
        """What comes before stage 0."""
        return x

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = []
        x = self.before(x)
        for number, stage in enumerate(self.all_stages()[: self.wanted[-1] + 1]):
            x = stage(x)
            if number in self.wanted:
                outputs.append(x)
        return tuple(outputs)
