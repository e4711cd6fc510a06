"""`Architecture` -> its backbone."""

from __future__ import annotations

import torch

from convert.network.blocks import Backbone
from convert.network.csp import CustomCspNet
from convert.network.efficientnet_lite import EfficientNetLite
from convert.network.ghostnet import GhostNet
from convert.network.mobilenetv2 import LAST_CHANNELS, MobileNetV2
from convert.network.repvgg import RepVGG
from convert.network.shufflenetv2 import ShuffleNetV2
from runtime.errors import KitError
from runtime.spec import Architecture, BackboneOptions


def build_backbone(architecture: Architecture, colours: int = 3) -> Backbone:
    """A new one, for images of so many colours.

    Raises `KitError` for stages that the family lacks.
    """
    name, act = architecture.backbone, architecture.backbone_activation
    options = architecture.backbone_options
    if options is None:
        return ShuffleNetV2(name.removeprefix("shufflenet_v2_"), act, colours)
    try:
        return _of_family(name, act, options, colours)
    except IndexError:
        listed = ", ".join(map(str, options.stages))
        raise KitError(f"backbone_options.stages: {name} has no stages {listed}") from None


def _of_family(name: str, act: str, options: BackboneOptions, colours: int) -> Backbone:
    stages, last = options.stages, options.last_channels
    if name.startswith("repvgg_"):
        return RepVGG(stages, name.removeprefix("repvgg_"), last, act, colours)
    if name.startswith("efficientnet_lite"):
        return EfficientNetLite(stages, int(name[-1]), act, colours)
    if name == "mobilenet_v2":
        return MobileNetV2(stages, options.width, last or LAST_CHANNELS, act, colours)
    if name == "ghostnet":
        return GhostNet(stages, options.width, act, colours)
    return CustomCspNet(stages, options.layers, act, colours)


def handed_on(
    architecture: Architecture, colours: int = 3
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels and strides of what the backbone hands on, finest first."""
    with torch.device("meta"):
        backbone = build_backbone(architecture, colours)
    return backbone.channels, backbone.strides
