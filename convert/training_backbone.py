"""The backbone of a training configuration -> fields of `Architecture`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convert.training_keys import ACTIVATIONS

# Upstream's stages where none are written.
_STAGES = {
    "RepVGG": [1, 2, 3, 4],
    "EfficientNetLite": [2, 4, 6],
    "MobileNetV2": [1, 2, 4, 6],
    "GhostNet": [4, 6, 9],
}
_ACTIVATION = {"EfficientNetLite": "ReLU6", "CustomCspNet": "LeakyReLU"}


def backbone_fields(section: Mapping[str, Any]) -> dict[str, Any]:
    """section: `model.arch.backbone`, whose keys were held against their rules."""
    family = section["name"]
    written = section.get("act") or section.get("activation", _ACTIVATION.get(family, "ReLU"))
    fields = {"backbone": _name(section), "backbone_activation": ACTIVATIONS[written]}
    if family == "ShuffleNetV2":
        return fields
    options = {
        "stages": section.get("out_stages", _STAGES.get(family)),
        "width": section.get("width_mult", 1.0),
        "last_channels": section.get("last_channel") or 0,
        "layers": _lines(section.get("net_cfg", [])),
    }
    return fields | {"backbone_options": options}


def _name(section: Mapping[str, Any]) -> str:
    """As `runtime.spec.BACKBONES` has it."""
    match section["name"]:
        case "ShuffleNetV2":
            return f"shufflenet_v2_{section.get('model_size', '1.5x')}"
        case "RepVGG":
            return f"repvgg_{section.get('arch')}".lower()
        case "EfficientNetLite":
            return str(section.get("model_name"))
        case "MobileNetV2":
            return "mobilenet_v2"
        case "GhostNet":
            return "ghostnet"
        case _:
            return "custom_csp"


def _lines(layers: Any) -> Any:
    """Lists of words and numbers -> lines."""
    if not isinstance(layers, list):
        return layers
    return [" ".join(map(str, one)) if isinstance(one, list) else one for one in layers]
