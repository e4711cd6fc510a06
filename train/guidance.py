"""The network while it is trained: NanoDet, and for NanoDet-Plus its assign guidance module.

The module, a second neck and a plain head on both necks' features, chooses the cells early in
training, when the light head cannot. Names follow upstream (`aux_fpn`, `aux_head`), so that
checkpoints go both ways; `convert` drops it.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from convert.network import NanoDet
from convert.network.blocks import Backbone, activation
from convert.network.ghostnet import GhostNet
from convert.network.mobilenetv2 import MobileNetV2
from convert.network.repvgg import RepVGG
from convert.network.shufflenetv2 import ShuffleNetV2
from runtime.spec import ModelSpec
from train.criterion import flatten

_LAYERS = 4
_GROUPS = 32
_PRIOR_BIAS = -4.595  # An untrained class scores 1 %.


class _Scale(nn.Module):
    """A learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


class _Block(nn.Module):
    """3x3 convolution, group norm, activation."""

    def __init__(self, channels: int, act: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.gn = nn.GroupNorm(_GROUPS, channels)
        self.act = activation(act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.act(self.gn(self.conv(x)))
        return y


class GuidanceHead(nn.Module):
    """Levels (N, C, h, w) -> class and distance logits (N, cells, classes + 4 * bins)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        channels, act = 2 * spec.architecture.neck_channels, spec.architecture.head_activation
        self.cls_convs = nn.ModuleList(_Block(channels, act) for _ in range(_LAYERS))
        self.reg_convs = nn.ModuleList(_Block(channels, act) for _ in range(_LAYERS))
        self.gfl_cls = nn.Conv2d(channels, len(spec.class_names), 3, padding=1)
        self.gfl_reg = nn.Conv2d(channels, 4 * spec.num_bins, 3, padding=1)
        self.scales = nn.ModuleList(_Scale() for _ in spec.architecture.strides)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(_bias(self.gfl_reg))
        nn.init.constant_(_bias(self.gfl_cls), _PRIOR_BIAS)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        outputs = []
        for x, scale in zip(levels, self.scales, strict=True):
            cls, reg = x, x
            for cls_block, reg_block in zip(self.cls_convs, self.reg_convs, strict=True):
                cls, reg = cls_block(cls), reg_block(reg)
            outputs.append(torch.cat([self.gfl_cls(cls), scale(self.gfl_reg(reg))], 1))
        return flatten(outputs)


class TrainedNetwork(NanoDet):
    """NanoDet with random weights as upstream draws them, and its guidance where it has one."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        _add_idle_parts(self, spec)
        for stage in self.backbone.all_stages()[self.backbone.wanted[-1] + 1 :]:
            stage.requires_grad_(False)  # Nothing reads it.
        _initialise(self)
        self.guided = spec.architecture.neck == "ghost_pan"
        if self.guided:
            self.aux_fpn = copy.deepcopy(self.fpn)
            self.aux_head = GuidanceHead(spec)
        # Half as fast again on CPUs. PyTorch's annotations forget this argument.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train_forward(
        self, x: torch.Tensor, detach: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Outputs (N, cells, classes + 4 * bins), and the guidance's; `detach` keeps the
        guidance's gradient from the rest."""
        features = self.backbone(x.contiguous(memory_format=torch.channels_last))
        levels = self.fpn(features)
        outputs = flatten(self.head(levels))
        if not self.guided:
            return outputs, None
        if detach:
            features = tuple(f.detach() for f in features)
            levels = tuple(level.detach() for level in levels)
        aux = self.aux_fpn(features)
        joined = [torch.cat(pair, 1) for pair in zip(levels, aux, strict=True)]
        return outputs, self.aux_head(joined)


class _Distances(nn.Module):
    """The distances of the bins, in strides."""

    def __init__(self, reg_max: int) -> None:
        super().__init__()
        self.register_buffer("project", torch.linspace(0, reg_max, reg_max + 1))


def _add_idle_parts(network: NanoDet, spec: ModelSpec) -> None:
    """What only upstream's checkpoints hold; it loads none that lacks them."""
    head, architecture = network.head, spec.architecture
    head.distribution_project = _Distances(architecture.reg_max)
    if architecture.neck == "pan":
        width, outputs = architecture.head_channels, 4 * spec.num_bins
        convolutions = (nn.Conv2d(width, outputs, 1) for _ in architecture.strides)
        head.gfl_reg = nn.ModuleList(convolutions).requires_grad_(False)


def _bias(layer: nn.Conv2d) -> torch.Tensor:
    assert layer.bias is not None
    return layer.bias


def _initialise(network: NanoDet) -> None:
    """As upstream draws them; what is not named has PyTorch's own."""
    _initialise_backbone(network.backbone)
    for name, module in network.fpn.named_modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:  # Of NanoDet-m.
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d) and ".blocks." not in name:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for module in network.head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, 0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for last in network.head.gfl_cls:
        assert isinstance(last, nn.Conv2d)
        nn.init.constant_(_bias(last), _PRIOR_BIAS)


def _initialise_backbone(backbone: Backbone) -> None:
    if isinstance(backbone, RepVGG):
        return
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d):
            outputs, inputs, *kernel = module.weight.shape
            if isinstance(backbone, (ShuffleNetV2, GhostNet)):
                deviation = 0.01 if name == "conv_stem" else 1 / inputs
            elif isinstance(backbone, MobileNetV2):
                deviation = 0.001
            else:
                deviation = math.sqrt(2 / (outputs * math.prod(kernel)))
            nn.init.normal_(module.weight, 0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and isinstance(backbone, (ShuffleNetV2, GhostNet)):
            nn.init.constant_(module.bias, 1e-4)
