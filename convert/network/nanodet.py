"""The whole network, as trained."""

from __future__ import annotations

import torch
from torch import nn

from convert.network.backbones import build_backbone
from convert.network.head import NanoDetHead
from convert.network.necks import PAN, GhostPAN
from runtime.errors import KitError
from runtime.spec import Architecture, ModelSpec


class NanoDet(nn.Module):
    """Normalised image (N, C, H, W) float32 -> one (N, classes + 4 * bins, h, w) per stride.

    Raises `KitError` where the strides are not the backbone's.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        architecture = spec.architecture
        self.backbone = build_backbone(architecture, spec.input.channels)
        found = self.backbone.strides
        if found != architecture.strides[: len(found)]:
            listed = " and ".join(", ".join(map(str, s)) for s in (architecture.strides, found))
            raise KitError(f"strides of the head and of the backbone's stages differ: {listed}")
        self.fpn = _neck(architecture, self.backbone.channels)
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
