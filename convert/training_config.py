"""Upstream's training configuration (YAML) -> `ModelSpec`, so that own models convert."""

from __future__ import annotations

import ast
import re
import reprlib
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from convert.network.backbones import handed_on
from convert.training_backbone import backbone_fields
from convert.training_check import examine
from convert.training_keys import ACTIVATIONS, value_at
from runtime.errors import KitError
from runtime.records import read_record
from runtime.spec import ModelSpec
from runtime.yaml_file import read_yaml

# Head class upstream -> (neck here, centre of a cell).
_NECKS = {"NanoDetHead": ("pan", 0.5), "NanoDetPlusHead": ("ghost_pan", 0.0)}
_LONGEST_LITERAL = 64


def load_config(path: Path) -> Any:
    """The content of a configuration, as upstream reads it; class names are the text written."""
    config = read_yaml(path, f"--config {path}", names="class_names")
    names = config.pop("class_names", None) if isinstance(config, dict) else None
    config = _as_upstream(config, {})
    return config if names is None else {**config, "class_names": names}


def read_training_config(path: Path, training: bool = False) -> ModelSpec:
    """The model that an upstream configuration trains, answering for all its strides.

    training: with the input that it is trained with, rather than the one it is evaluated with.
    Raises `KitError` naming the part that this kit does not support.
    """
    reader = _Reader(load_config(path), f"--config {path}", "train" if training else "val")
    return reader.spec(re.sub(r"[^\w.-]", "-", path.stem))


def unused_keys(path: Path, training: bool = False) -> tuple[str, ...]:
    """The keys in a configuration that nothing follows, see `training_check.examine`."""
    return examine(load_config(path), f"--config {path}", training)


def _as_upstream(value: Any, done: dict[int, dict[Any, Any]]) -> Any:
    """Text that upstream (yacs) takes for a literal of Python, such as `1e-3` or `None`.

    done: mappings by identity, for YAML may repeat one a million times, or within itself.
    """
    if isinstance(value, dict):
        if id(value) not in done:
            done[id(value)] = copy = {}
            copy.update({key: _as_upstream(entry, done) for key, entry in value.items()})
        return done[id(value)]
    if not isinstance(value, str) or len(value) > _LONGEST_LITERAL:
        return value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            literal = ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value
    return list(literal) if isinstance(literal, tuple) else literal


def _is_grey(normalize: list[Any]) -> bool:
    return all(isinstance(values, list) and len(values) == 1 for values in normalize)


class _Reader:
    """Takes values out of the nested mapping and complains with their full name."""

    def __init__(self, config: Any, source: str, part: str) -> None:
        self.config, self.source, self.part = config, source, part

    def spec(self, name: str) -> ModelSpec:
        backbone, fpn, head = (
            self.section(f"model.arch.{part}") for part in ("backbone", "fpn", "head")
        )
        examine(self.config, self.source, training=False)
        neck, prior_offset = _NECKS[head["name"]]
        strides = head.get("strides", [8, 16, 32])
        values = {
            "name": name,
            "architecture": {
                **backbone_fields(backbone),
                "neck": neck,
                "neck_channels": fpn.get("out_channels"),
                "neck_kernel": fpn.get("kernel_size", 5) if neck == "ghost_pan" else 1,
                "head_channels": head.get("feat_channels", 256 if neck == "pan" else 96),
                "head_kernel": head.get("kernel_size", 5) if neck == "ghost_pan" else 3,
                "head_convs": head.get("stacked_convs", 2),
                "reg_max": head.get("reg_max", 16 if neck == "pan" else 7),
                "neck_activation": ACTIVATIONS[fpn.get("activation") or "LeakyReLU"],
                "head_activation": ACTIVATIONS[head.get("activation", "LeakyReLU")],
                "strides": strides,
                "prior_offset": prior_offset,
                "head_dense": head.get("conv_type") == "Conv",
            },
            "input": self.input(),
            "graph": {"strides": strides},
            "class_names": self.class_names(head.get("num_classes")),
        }
        spec = read_record(ModelSpec, values, self.source)
        self.check_joints(spec, fpn, head)
        return spec

    def check_joints(self, spec: ModelSpec, fpn: dict[str, Any], head: dict[str, Any]) -> None:
        """What one part says of another."""
        architecture = spec.architecture
        try:
            widths, strides = map(list, handed_on(architecture))
        except KitError as error:
            raise KitError(f"{self.source}: model.arch.backbone: {error}") from None
        end = fpn.get("end_level", -1)
        joints = [
            ("head.strides", list(architecture.strides[: len(strides)]), strides),
            ("fpn.end_level", end, -1 if end == -1 else len(widths)),
            ("fpn.in_channels", fpn.get("in_channels", widths), widths),
            ("head.input_channel", head.get("input_channel", architecture.neck_channels),
             architecture.neck_channels),
        ]  # fmt: skip
        if architecture.neck == "ghost_pan":
            extra = len(architecture.strides) - len(widths)
            joints.append(("fpn.num_extra_level", fpn.get("num_extra_level", 0), extra))
        for path, value, fitting in joints:
            if value != fitting:
                raise KitError(
                    f"{self.source}: model.arch.{path} is {reprlib.repr(value)}, the other parts "
                    f"need {fitting}"
                )

    def section(self, path: str) -> dict[str, Any]:
        """The mapping at a dotted path."""
        value = value_at(self.config, path)
        if not isinstance(value, dict):
            raise KitError(f"{self.source}: no section `{path}`; is it NanoDet's?")
        return value

    def class_names(self, count: Any) -> list[str]:
        names = self.config.get("class_names")
        if not isinstance(names, list):
            raise KitError(f"{self.source}: class_names must be a list of names")
        for number, name in enumerate(names, 1):
            if not isinstance(name, str) or not name.strip():
                shown = reprlib.repr(name) if name else "empty"
                raise KitError(
                    f"{self.source}: entry {number} of class_names is {shown}, no name; write it "
                    "in quotes"
                )
        repeated = [name for name, times in Counter(names).items() if times > 1]
        if repeated:
            raise KitError(f"{self.source}: class_names has `{repeated[0]}` more than once")
        if len(names) != count:
            raise KitError(
                f"{self.source}: {len(names)} class_names, but model.arch.head.num_classes "
                f"{count}; name as many"
            )
        return names

    def input(self) -> dict[str, Any]:
        """Upstream's `data.val` is what is deployed; where `data.train` says nothing, it holds."""
        data = self.section("data.val")
        pipeline = self.section("data.val.pipeline")
        if self.part == "train":
            data = {**data, **self.section("data.train")}
            pipeline = {**pipeline, **self.section("data.train.pipeline")}
        size = self.pair(data.get("input_size"), "input_size", "[width, height]")
        normalize = self.pair(pipeline.get("normalize"), "pipeline.normalize", "[mean, std]")
        return {
            "width": size[0],
            "height": size[1],
            "keep_ratio": data.get("keep_ratio", True),
            # Upstream reads images with OpenCV; forks that read them in grey have one mean.
            "colour_order": "GREY" if _is_grey(normalize) else "BGR",
            "mean": normalize[0],
            "std": normalize[1],
        }

    def pair(self, value: Any, key: str, form: str) -> list[Any]:
        """A list of two."""
        if not isinstance(value, list) or len(value) != 2:
            raise KitError(f"{self.source}: data.{self.part}.{key} must be {form}")
        return value
