"""`ModelSpec`: everything the kit needs to know about a model, in one frozen value.

It is read from `models/<name>.yaml`, passed from stage to stage, and embedded as JSON in every
ONNX and TFLite file the kit writes (see `runtime.tflite_file`), so that a model file is enough
to evaluate, run or deploy it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import reprlib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, TypeVar

from numpy.typing import NDArray

from .errors import KitError
from .yaml_file import read_yaml

SPEC_VERSION = 1
METADATA_NAME = "nanodet_model_spec"

BACKBONES = {
    # Output channels of stage 2, 3 and 4 (strides 8, 16, 32); ShuffleNetV2, arXiv:1807.11164.
    "shufflenet_v2_0.5x": (48, 96, 192),
    "shufflenet_v2_1.0x": (116, 232, 464),
    "shufflenet_v2_1.5x": (176, 352, 704),
    "shufflenet_v2_2.0x": (244, 488, 976),
}
NECKS = ("pan", "ghost_pan")
ACTIVATIONS = ("leaky_relu", "relu", "relu6")
_CLASSES_IN_NAME = 3
COLOUR_ORDERS = ("BGR", "RGB")
DATASETS = ("coco", "shapes")


@dataclass(frozen=True)
class Architecture:
    """The network as trained.

    neck: `pan` (NanoDet-m) or `ghost_pan` (NanoDet-Plus).
    neck_kernel: side of the depthwise kernels of a GhostPAN, in cells; a PAN has none.
    head_kernel, head_channels: side of the head's depthwise kernels, and its width.
    head_convs: depthwise-separable blocks before the last 1x1 convolution.
    reg_max: distances are distributions over the bins 0..reg_max, in units of the stride.
    strides: pixels per cell, finest first; 8, 16, 32, and for a GhostPAN further doublings.
    prior_offset: a cell's centre is (index + prior_offset) * stride.
    """

    backbone: str
    neck: str
    neck_channels: int
    neck_kernel: int
    head_channels: int
    head_kernel: int
    head_convs: int
    reg_max: int
    backbone_activation: str
    neck_activation: str
    head_activation: str
    strides: tuple[int, ...]
    prior_offset: float

    def __post_init__(self) -> None:
        _one_of("architecture.backbone", self.backbone, BACKBONES)
        _one_of("architecture.neck", self.neck, NECKS)
        for part in ("backbone", "neck", "head"):
            name = f"{part}_activation"
            _one_of(f"architecture.{name}", getattr(self, name), ACTIVATIONS)
        for field in ("neck_channels", "head_channels", "head_convs", "reg_max"):
            _check(getattr(self, field) > 0, f"architecture.{field}", "must be positive")
        for field in ("neck_kernel", "head_kernel"):
            odd = getattr(self, field) > 0 and getattr(self, field) % 2 == 1
            _check(odd, f"architecture.{field}", "must be odd and positive")
        halves = self.neck == "pan" or self.neck_channels % 2 == 0
        _check(halves, "architecture.neck_channels", "must be even for a GhostPAN")
        levels = len(self.strides)
        known = tuple(8 << i for i in range(levels))
        fits = levels == 3 if self.neck == "pan" else levels >= 3
        _check(
            fits and self.strides == known,
            "architecture.strides",
            f"{_listed(self.strides)} do not fit neck `{self.neck}`",
        )
        _check(0 <= self.prior_offset <= 1, "architecture.prior_offset", "must lie in 0..1")


@dataclass(frozen=True)
class InputSpec:
    """What the network sees: size in pixels, resize rule, channel order and normalisation.

    mean, std: per channel in `colour_order`, on the 0..255 scale.
    raw_offset, raw_scale: a lowered graph takes (pixel - raw_offset) / raw_scale instead of the
    normalised pixel; raw_offset is whole so that the int8 input is exactly `pixel - 128`. The
    lowering chooses another where this one is far from the means.
    """

    width: int
    height: int
    keep_ratio: bool
    colour_order: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    raw_offset: int = 115
    raw_scale: float = 57.5

    def __post_init__(self) -> None:
        for field in ("width", "height"):
            size = getattr(self, field)
            _check(size > 0 and size % 32 == 0, f"input.{field}", "must be a multiple of 32")
        _one_of("input.colour_order", self.colour_order, COLOUR_ORDERS)
        for field in ("mean", "std"):
            values = getattr(self, field)
            numbers = len(values) == 3 and all(math.isfinite(v) for v in values)
            _check(numbers, f"input.{field}", "must have 3 values, all finite")
        _check(min(self.std) > 0, "input.std", "must have 3 positive values")
        _check(0 <= self.raw_offset <= 255, "input.raw_offset", "must lie in 0..255")
        _check(self.raw_scale > 0, "input.raw_scale", "must be positive")


@dataclass(frozen=True)
class GraphSpec:
    """What a built graph reads and returns; set by the lowering.

    strides: the strides it answers for, finest first.
    class_ids: the classes it answers for, as indices into `ModelSpec.class_names`; empty for all.
    raw_pixels: it takes (pixel - raw_offset) / raw_scale rather than normalised pixels.
    rotated_180: it takes the image rotated by 180 degrees and returns its grids so rotated.
    space_to_depth: it takes blocks of 2x2 pixels as channels: (1, H/2, W/2, 12), each block row by
    row, its pixels in the colour order.
    """

    strides: tuple[int, ...]
    class_ids: tuple[int, ...] = ()
    raw_pixels: bool = False
    rotated_180: bool = False
    space_to_depth: bool = False

    def __post_init__(self) -> None:
        _check_strides("graph.strides", self.strides)


@dataclass(frozen=True)
class WeightsSource:
    """Where the official weights are. Checksums are given where the publisher has one.

    file: name in `$NANODET_DATA/weights` and in the cache; in `models/` where `committed`.
    google_drive_id, url: at least one of the two places to download from, unless committed.
    """

    file: str
    google_drive_id: str = ""
    url: str = ""
    size_bytes: int = 0
    sha384: str = ""
    committed: bool = False

    def __post_init__(self) -> None:
        to_be_had = bool(self.google_drive_id or self.url or self.committed)
        _check(to_be_had, "weights", "names no place to download from")
        _check(Path(self.file).name == self.file, "weights.file", "must be a plain file name")


@dataclass(frozen=True)
class ModelSpec:
    """One model: see the parts. Raises `KitError` on construction from inconsistent values.

    class_names: the classes the network was trained on; `classes` are those the graph answers for.
    dataset: the images that calibrate and evaluate it by default; `shapes` are generated.
    """

    name: str
    architecture: Architecture
    input: InputSpec
    graph: GraphSpec
    class_names: tuple[str, ...]
    # `Optional`, not `| None`: Python 3.9 on boards evaluates these hints.
    weights: Optional[WeightsSource] = None
    published_map: Optional[float] = None
    dataset: str = "coco"

    def __post_init__(self) -> None:
        _check(bool(self.name), "name", "must not be empty")
        _one_of("dataset", self.dataset, DATASETS)
        _check(len(self.class_names) > 0, "classes", "must name at least one class")
        _check(all(self.class_names), "classes", "must not have empty names")
        known, chosen = self.architecture.strides, self.graph.strides
        _check(
            chosen == known[-len(chosen) :] or (len(chosen) == 1 and chosen[0] in known),
            "strides",
            f"{_listed(chosen)} is not to be had; this network has {_listed(known)}: choose one, "
            "or several up to the coarsest",
        )

        ids = self.graph.class_ids
        _check(
            list(ids) == sorted(set(ids)) and all(0 <= i < len(self.class_names) for i in ids),
            "graph.class_ids",
            "must rise and lie within the class names",
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes the graph answers for, in the order of its channels."""
        ids = self.graph.class_ids
        return tuple(self.class_names[i] for i in ids) if ids else self.class_names

    @property
    def file_stem(self) -> str:
        """Name of the files built from this model: `nanodet_m_0.5x` for the coarsest stride
        alone, `..._s16` for stride 16 and coarser, `..._only16` for another single stride, then
        the classes where they are a choice, then `_s2d` for an input of blocks."""
        stem = self.name.replace("-", "_")
        known, chosen = self.architecture.strides, self.graph.strides
        if chosen != known[-1:]:
            stem += f"_only{chosen[0]}" if len(chosen) == 1 else f"_s{chosen[0]}"
        if self.graph.class_ids:
            few = len(self.classes) <= _CLASSES_IN_NAME
            words = "-".join(self.classes) if few else f"{len(self.classes)}classes"
            stem += "_" + re.sub(r"[^\w-]", "-", words)
        return stem + "_s2d" * self.graph.space_to_depth

    @property
    def output_names(self) -> tuple[str, ...]:
        """Graph outputs in order: class logits, then distance logits, a pair for each stride."""
        return tuple(f"{kind}_{s}" for s in self.graph.strides for kind in ("cls", "reg"))

    @property
    def num_bins(self) -> int:
        """Bins of each distance distribution."""
        return self.architecture.reg_max + 1

    @property
    def input_shape_nhwc(self) -> tuple[int, int, int, int]:
        """Shape of the graph's input in NHWC."""
        height, width = self.input.height, self.input.width
        return (
            (1, height // 2, width // 2, 12) if self.graph.space_to_depth else (1, height, width, 3)
        )

    def output_shape_nhwc(self, name: str) -> tuple[int, int, int, int]:
        """Shape of the output `name` in NHWC."""
        kind, stride = name.split("_")
        channels = len(self.classes) if kind == "cls" else 4 * self.num_bins
        return (
            1,
            -(-self.input.height // int(stride)),
            -(-self.input.width // int(stride)),
            channels,
        )

    def with_strides(self, strides: tuple[int, ...]) -> ModelSpec:
        """The same model answering for `strides` only."""
        return dataclasses.replace(self, graph=dataclasses.replace(self.graph, strides=strides))

    def with_classes(self, names: tuple[str, ...]) -> ModelSpec:
        """The same model answering for the classes `names` only, in the network's order.

        Raises `KitError` for a name that the network does not know.
        """
        unknown = [name for name in names if name not in self.class_names]
        known = _listed(self.class_names)
        _check(not unknown, "classes", f"`{_listed(unknown)}` unknown; known: {known}")
        ids = tuple(sorted({self.class_names.index(name) for name in names}))
        chosen = () if len(ids) == len(self.class_names) else ids
        return dataclasses.replace(self, graph=dataclasses.replace(self.graph, class_ids=chosen))

    def to_json(self) -> str:
        """Stable JSON text: equal specs give equal bytes."""
        return json.dumps(
            {"spec_version": SPEC_VERSION, **dataclasses.asdict(self)}, sort_keys=True
        )

    @classmethod
    def from_json(cls, text: str, source: str) -> ModelSpec:
        """Parse `to_json` output; `source` names the file in errors."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise KitError(f"{source}: the embedded model spec is not JSON ({error})") from None
        version = values.pop("spec_version", None) if isinstance(values, dict) else None
        if version != SPEC_VERSION:
            raise KitError(
                f"{source}: model spec version {version}, this kit reads {SPEC_VERSION}; "
                "rebuild the file with recipe.sh"
            )
        return _build(cls, values, source)

    @classmethod
    def from_values(cls, values: dict[str, Any], source: str) -> ModelSpec:
        """Build from nested mappings; `source` stands in front of errors."""
        return _build(cls, values, source)

    @classmethod
    def from_yaml(cls, path: Path) -> ModelSpec:
        """Read a variant of `models/`; `classes` there names a file of one class per line."""
        values = read_yaml(path)
        if not isinstance(values, dict) or not isinstance(values.get("classes"), str):
            raise KitError(f"{path}: expected a mapping with `classes`, the name of a text file")
        names_file = path.parent / values.pop("classes")
        try:
            lines = names_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise KitError(f"{names_file}: class names cannot be read ({error})") from None
        values["class_names"] = [line.strip() for line in lines if line.strip()]
        architecture = values.get("architecture")
        if isinstance(architecture, dict):
            values.setdefault("graph", {"strides": architecture.get("strides", [])})
        return _build(cls, values, str(path))


def as_trained(spec: ModelSpec) -> ModelSpec:
    """The spec of the network before lowering: normalised pixels, upright."""
    return dataclasses.replace(spec, graph=GraphSpec(spec.graph.strides, spec.graph.class_ids))


def select_class_channels(
    outputs: Mapping[str, NDArray[Any]], spec: ModelSpec
) -> dict[str, NDArray[Any]]:
    """Outputs (h, w, C) of a network with all its classes -> those of `spec.graph.class_ids`."""
    ids = list(spec.graph.class_ids) or slice(None)
    return {n: v[..., ids] if n.startswith("cls") else v for n, v in outputs.items()}


_T = TypeVar("_T")


def _build(cls: type[_T], values: Any, where: str) -> _T:
    """Make the dataclass `cls` from parsed YAML or JSON, checking keys and types."""
    if not isinstance(values, dict):
        raise KitError(f"{where}: expected a mapping, got {type(values).__name__}")
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, cls))}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise KitError(f"{where}: unknown key `{unknown[0]}`; known: {_listed(fields)}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise KitError(f"{where}: missing key `{name}`")
    hints = typing.get_type_hints(cls)
    arguments = {
        name: _convert(hints[name], value, f"{where}: {name}") for name, value in values.items()
    }
    try:
        return cls(**arguments)
    except KitError as error:
        raise KitError(f"{where}: {error}") from None


def _convert(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise KitError(f"{where}: expected a list, got {reprlib.repr(value)}")
        return tuple(_convert(typing.get_args(hint)[0], item, where) for item in value)
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    if options:  # Optional
        return None if value is None else _convert(options[0], value, where)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(Any, hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise KitError(f"{where}: {reprlib.repr(value)} is too large") from None
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise KitError(f"{where}: expected {hint.__name__}, got {reprlib.repr(value)}")
    return value


def _check(holds: bool, field: str, problem: str) -> None:
    if not holds:
        raise KitError(f"{field}: {problem}")


def _one_of(field: str, value: str, known: typing.Iterable[str]) -> None:
    _check(value in known, field, f"`{value}` is not supported; known: {_listed(known)}")


def _check_strides(field: str, strides: tuple[int, ...]) -> None:
    ok = len(strides) > 0 and list(strides) == sorted(set(strides)) and min(strides) > 0
    _check(ok, field, f"must be positive and rising, got {_listed(strides)}")


def _listed(items: typing.Iterable[Any]) -> str:
    return ", ".join(str(item) for item in items)
