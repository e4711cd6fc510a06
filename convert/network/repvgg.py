"""RepVGG (Ding et al., arXiv:2101.03697): 3x3 convolutions that are trained as three branches.

Module names follow upstream (`nanodet/model/backbone/repvgg.py`), so that checkpoints load.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from convert.network.blocks import Backbone, activation

# Size -> blocks of stages 1 to 4, and the factors of their channels.
_SIZES = {
    "a0": ((2, 4, 14, 1), (0.75, 0.75, 0.75, 2.5)),
    "a1": ((2, 4, 14, 1), (1.0, 1.0, 1.0, 2.5)),
    "a2": ((2, 4, 14, 1), (1.5, 1.5, 1.5, 2.75)),
    "b0": ((4, 6, 16, 1), (1.0, 1.0, 1.0, 2.5)),
    "b1": ((4, 6, 16, 1), (2.0, 2.0, 2.0, 4.0)),
}
_CHANNELS = (64, 128, 256, 512)


class Branches(nn.Module):
    """The sum of a 3x3 convolution, a 1x1 convolution and, where sizes allow it, the input, each
    with a batch norm of its own; then an activation."""

    def __init__(self, channels_in: int, channels: int, stride: int, act: str) -> None:
        super().__init__()
        same = channels_in == channels and stride == 1
        self.stride = stride
        self.act = activation(act)
        self.rbr_identity = nn.BatchNorm2d(channels) if same else None
        self.rbr_dense = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.rbr_1x1 = nn.Sequential(
            nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Gradients of a 1x1 convolution with stride 2 on an image overrun memory in PyTorch 2.13.
        y = self.rbr_dense(x) + self.rbr_1x1(x[..., :: self.stride, :: self.stride])
        if self.rbr_identity is not None:
            y = y + self.rbr_identity(x)
        return self.act(y)

    def folded(self) -> nn.Conv2d:
        """The one 3x3 convolution, with a bias, that is the sum in evaluation."""
        dense, point = (fuse_conv_bn_eval(*branch) for branch in (self.rbr_dense, self.rbr_1x1))
        convs = [dense.weight, F.pad(point.weight, (1, 1, 1, 1))]
        biases = [dense.bias, point.bias]
        if self.rbr_identity is not None:
            unit = nn.Conv2d(len(dense.weight), len(dense.weight), 3, 1, 1, bias=False)
            unit.weight.data = nn.init.dirac_(torch.empty_like(dense.weight))
            identity = fuse_conv_bn_eval(unit.eval(), self.rbr_identity)
            convs.append(identity.weight)
            biases.append(identity.bias)
        dense.weight.data = torch.stack([w.data for w in convs]).sum(0)
        dense.bias.data = torch.stack([b.data for b in biases]).sum(0)
        return dense


class RepVGG(Backbone):
    """Stages 0, the stem, to 4. last: channels of the last, 0 for the usual number."""

    def __init__(
        self, wanted: Sequence[int], size: str, last: int, act: str, colours: int = 3
    ) -> None:
        super().__init__()
        repeats, factors = _SIZES[size]
        widths = [int(c * factor) for c, factor in zip(_CHANNELS, factors, strict=True)]
        widths[-1] = last or widths[-1]
        channels = min(_CHANNELS[0], widths[0])
        self.stage0 = Branches(colours, channels, 2, act)
        found = [(channels, 2)]
        for i, (made, count) in enumerate(zip(widths, repeats, strict=True), 1):
            blocks = [Branches(channels, made, 2, act)]
            blocks += [Branches(made, made, 1, act) for _ in range(count - 1)]
            setattr(self, f"stage{i}", nn.Sequential(*blocks))
            channels = made
            found.append((channels, 2 << i))
        self._hand_on(wanted, found)

    def all_stages(self) -> list[nn.Module]:
        return [getattr(self, f"stage{i}") for i in range(len(_CHANNELS) + 1)]
