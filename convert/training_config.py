"""Upstream's training configuration (YAML) -> `ModelSpec`, so that own models convert."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path
from typing import Any

from runtime.errors import KitError
from runtime.spec import ModelSpec
from runtime.yaml_file import read_yaml

_ACTIVATIONS = {"LeakyReLU": "leaky_relu", "ReLU": "relu", "ReLU6": "relu6"}
_HEADS = {
    # Head class upstream -> (neck class, neck here, centre of a cell)
    "NanoDetHead": ("PAN", "pan", 0.5),
    "NanoDetPlusHead": ("GhostPAN", "ghost_pan", 0.0),
}

# Settings that the kit supports with one value only: (part, key, value it defaults to upstream,
# value supported).
_FIXED: tuple[tuple[str, str, Any, Any], ...] = (
    ("backbone", "name", None, "ShuffleNetV2"),
    ("backbone", "out_stages", [2, 3, 4], [2, 3, 4]),
    ("backbone", "with_last_conv", False, False),
    ("backbone", "kernal_size", 3, 3),
    ("head", "conv_type", "DWConv", "DWConv"),
)
_FIXED_BY_HEAD: dict[str, tuple[tuple[str, str, Any, Any], ...]] = {
    "NanoDetHead": (("head", "share_cls_reg", False, True), ("fpn", "start_level", 0, 0)),
    "NanoDetPlusHead": (
        ("fpn", "use_depthwise", False, True),
        ("fpn", "expand", 1, 1),
        ("fpn", "num_blocks", 1, 1),
        ("fpn", "use_res", False, False),
    ),
}


def read_training_config(path: Path) -> ModelSpec:
    """The model that an upstream configuration trains, answering for all its strides.

    Raises `KitError` naming the part that this kit does not support.
    """
    config = read_yaml(path, f"--config {path}")
    return _Reader(config, f"--config {path}").spec(re.sub(r"[^\w.-]", "-", path.stem))


class _Reader:
    """Takes values out of the nested mapping and complains with their full name."""

    def __init__(self, config: Any, source: str) -> None:
        self.config, self.source = config, source

    def spec(self, name: str) -> ModelSpec:
        parts = {part: self.section("model", "arch", part) for part in ("backbone", "fpn", "head")}
        head_name = str(parts["head"].get("name"))
        if head_name not in _HEADS:
            self.refuse("model.arch.head.name", head_name, " or ".join(_HEADS))
        neck_name, neck, prior_offset = _HEADS[head_name]
        fixed = (*_FIXED, *_FIXED_BY_HEAD[head_name], ("fpn", "name", None, neck_name))
        for part, key, default, supported in fixed:
            value = parts[part].get(key, default)
            if value != supported:
                self.refuse(f"model.arch.{part}.{key}", value, supported)
        head, fpn = parts["head"], parts["fpn"]
        class_names = self.class_names(head.get("num_classes"))
        strides = head.get("strides", [8, 16, 32])
        values = {
            "name": name,
            "architecture": {
                "backbone": f"shufflenet_v2_{parts['backbone'].get('model_size', '1.5x')}",
                "neck": neck,
                "neck_channels": fpn.get("out_channels"),
                "neck_kernel": fpn.get("kernel_size", 5) if neck == "ghost_pan" else 1,
                "head_channels": head.get("feat_channels", 256 if neck == "pan" else 96),
                "head_kernel": head.get("kernel_size", 5) if neck == "ghost_pan" else 3,
                "head_convs": head.get("stacked_convs", 2),
                "reg_max": head.get("reg_max", 16 if neck == "pan" else 7),
                "backbone_activation": self.activation("backbone", parts["backbone"], "ReLU"),
                "neck_activation": self.activation("fpn", fpn, "LeakyReLU"),
                "head_activation": self.activation("head", head, "LeakyReLU"),
                "strides": strides,
                "prior_offset": prior_offset,
            },
            "input": self.input(),
            "graph": {"strides": strides},
            "class_names": class_names,
        }
        return ModelSpec.from_values(values, self.source)

    def section(self, *keys: str) -> dict[str, Any]:
        """The mapping at a dotted path."""
        value = self.config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, dict):
            raise KitError(f"{self.source}: no section `{'.'.join(keys)}`; is it NanoDet's?")
        return value

    def refuse(self, field: str, value: Any, supported: Any) -> None:
        raise KitError(
            f"{self.source}: {field} is {reprlib.repr(value)}, this kit supports {supported!r}"
        )

    def activation(self, part: str, section: dict[str, Any], default: str) -> str:
        value = section.get("activation", default)
        if value not in _ACTIVATIONS:
            self.refuse(f"model.arch.{part}.activation", value, " or ".join(_ACTIVATIONS))
        return _ACTIVATIONS[value]

    def class_names(self, count: Any) -> list[str]:
        names = self.config.get("class_names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise KitError(f"{self.source}: class_names must be a list of names")
        if len(names) != count:
            raise KitError(
                f"{self.source}: {len(names)} class_names, but model.arch.head.num_classes {count}"
            )
        return names

    def input(self) -> dict[str, Any]:
        """Input as in validation: upstream trains on varied sizes, but deploys this one."""
        data = self.section("data", "val")
        pipeline = self.section("data", "val", "pipeline")
        size, normalize = data.get("input_size"), pipeline.get("normalize")
        if not isinstance(size, list) or len(size) != 2:
            raise KitError(f"{self.source}: data.val.input_size must be [width, height]")
        if not isinstance(normalize, list) or len(normalize) != 2:
            raise KitError(f"{self.source}: data.val.pipeline.normalize must be [mean, std]")
        return {
            "width": size[0],
            "height": size[1],
            "keep_ratio": data.get("keep_ratio", False),
            "colour_order": "BGR",  # Upstream reads images with OpenCV.
            "mean": normalize[0],
            "std": normalize[1],
        }
