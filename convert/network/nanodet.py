"""The whole network, as trained."""

from __future__ import annotations

import torch
from torch import nn

from convert.network.head import NanoDetHead
from convert.network.necks import PAN, GhostPAN
from convert.network.shufflenetv2 import ShuffleNetV2
from runtime.spec import BACKBONES, Architecture, ModelSpec


class NanoDet(nn.Module):
    """Normalised image (N, C, H, W) float32 -> one (N, classes + 4 * bins, h, w) per stride."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        architecture = spec.architecture
        stage_channels = BACKBONES[architecture.backbone]
        activation = architecture.backbone_activation
        self.backbone = ShuffleNetV2(stage_channels, activation, spec.input.channels)
        self.fpn = _neck(architecture, stage_channels)
        self.head = NanoDetHead(architecture, len(spec.class_names))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.head(self.fpn(self.backbone(x)))


def _neck(architecture: Architecture, stage_channels: tuple[int, ...]) -> nn.Module:
    if architecture.neck == "pan":
        return PAN(stage_channels, architecture.neck_channels)
    return GhostPAN(
        stage_channels,
        architecture.neck_channels,
        architecture.neck_kernel,
        architecture.neck_activation,
        extra_levels=len(architecture.strides) - len(stage_channels),
    )
