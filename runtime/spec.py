"""`ModelSpec`: everything the kit needs to know about a model, in one frozen value.

It is read from `models/<name>.yaml`, passed from stage to stage, and embedded as JSON in every
ONNX and TFLite file the kit writes (see `runtime.tflite_file`), so that a model file is enough
to evaluate, run or deploy it.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, TypeVar

from runtime.errors import KitError

SPEC_VERSION = 1
METADATA_NAME = "nanodet_model_spec"

BACKBONES = {
    # Output channels of stage 2, 3 and 4 (strides 8, 16, 32); ShuffleNetV2, arXiv:1807.11164.
    "shufflenet_v2_0.5x": (48, 96, 192),
    "shufflenet_v2_1.0x": (116, 232, 464),
    "shufflenet_v2_1.5x": (176, 352, 704),
}
NECKS = ("pan",)
ACTIVATIONS = ("leaky_relu", "relu", "relu6")
COLOUR_ORDERS = ("BGR", "RGB")


@dataclass(frozen=True)
class Architecture:
    """The network as trained.

    head_kernel: side of the depthwise kernels of the head, in cells.
    head_convs: depthwise-separable blocks before the last 1x1 convolution.
    reg_max: distances are distributions over the bins 0..reg_max, in units of the stride.
    strides: pixels a cell, finest first.
    prior_offset: a cell's centre is (index + prior_offset) * stride.
    """

    backbone: str
    neck: str
    neck_channels: int
    head_kernel: int
    head_convs: int
    reg_max: int
    activation: str
    strides: tuple[int, ...]
    prior_offset: float

    def __post_init__(self) -> None:
        _one_of("architecture.backbone", self.backbone, BACKBONES)
        _one_of("architecture.neck", self.neck, NECKS)
        _one_of("architecture.activation", self.activation, ACTIVATIONS)
        for field in ("neck_channels", "head_kernel", "head_convs", "reg_max"):
            _check(getattr(self, field) > 0, f"architecture.{field}", "must be positive")
        _check(self.head_kernel % 2 == 1, "architecture.head_kernel", "must be odd")
        _check_strides("architecture.strides", self.strides)
        _check(0 <= self.prior_offset <= 1, "architecture.prior_offset", "must lie in 0..1")


@dataclass(frozen=True)
class InputSpec:
    """What the network sees: size in pixels, resize rule, channel order and normalisation.

    mean, std: per channel in `colour_order`, on the 0..255 scale.
    raw_offset, raw_scale: a lowered graph takes (pixel - raw_offset) / raw_scale instead of the
    normalised pixel; raw_offset is whole so that the int8 input is exactly `pixel - 128`.
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
        _check(len(self.mean) == 3, "input.mean", "must have 3 values")
        _check(len(self.std) == 3 and min(self.std) > 0, "input.std", "must have 3 positive values")
        _check(0 <= self.raw_offset <= 255, "input.raw_offset", "must lie in 0..255")
        _check(self.raw_scale > 0, "input.raw_scale", "must be positive")


@dataclass(frozen=True)
class GraphSpec:
    """What a built graph reads and returns; set by the lowering.

    strides: the strides it answers for, finest first.
    raw_pixels: it takes (pixel - raw_offset) / raw_scale rather than normalised pixels.
    rotated_180: it takes the image rotated by 180 degrees and returns its grids so rotated.
    """

    strides: tuple[int, ...]
    raw_pixels: bool = False
    rotated_180: bool = False

    def __post_init__(self) -> None:
        _check_strides("graph.strides", self.strides)


@dataclass(frozen=True)
class WeightsSource:
    """Where the official weights are. Checksums are given where the publisher has one.

    file: name in `$NANODET_DATA/weights` and in the cache.
    google_drive_id, url: at least one of the two places to download from.
    """

    file: str
    google_drive_id: str = ""
    url: str = ""
    size_bytes: int = 0
    sha384: str = ""

    def __post_init__(self) -> None:
        _check(bool(self.google_drive_id or self.url), "weights", "names no place to download from")
        _check(Path(self.file).name == self.file, "weights.file", "must be a plain file name")


@dataclass(frozen=True)
class ModelSpec:
    """One model: see the parts. Raises `KitError` on construction from inconsistent values."""

    name: str
    architecture: Architecture
    input: InputSpec
    graph: GraphSpec
    class_names: tuple[str, ...]
    # `Optional`, not `| None`: Python 3.9 on boards evaluates these hints.
    weights: Optional[WeightsSource] = None
    published_map: Optional[float] = None

    def __post_init__(self) -> None:
        _check(bool(self.name), "name", "must not be empty")
        _check(len(self.class_names) > 0, "classes", "must name at least one class")
        known, chosen = self.architecture.strides, self.graph.strides
        _check(
            chosen == known[-len(chosen) :] or (len(chosen) == 1 and chosen[0] in known),
            "strides",
            f"{_listed(chosen)} is not to be had; this network has {_listed(known)}: choose one, "
            "or several up to the coarsest",
        )

    @property
    def file_stem(self) -> str:
        """Name of the files built from this model: `nanodet_m_0.5x` for the coarsest stride
        alone, `..._s16` for stride 16 and coarser, `..._only16` for another single stride."""
        stem, known, chosen = (
            self.name.replace("-", "_"),
            self.architecture.strides,
            self.graph.strides,
        )
        if chosen == known[-1:]:
            return stem
        return f"{stem}_only{chosen[0]}" if len(chosen) == 1 else f"{stem}_s{chosen[0]}"

    @property
    def output_names(self) -> tuple[str, ...]:
        """Graph outputs in order: class logits, then distance logits, a pair for each stride."""
        return tuple(f"{kind}_{s}" for s in self.graph.strides for kind in ("cls", "reg"))

    @property
    def num_bins(self) -> int:
        """Bins of each distance distribution."""
        return self.architecture.reg_max + 1

    def output_shape_nhwc(self, name: str) -> tuple[int, int, int, int]:
        """Shape of the output `name` in NHWC."""
        kind, stride = name.split("_")
        channels = len(self.class_names) if kind == "cls" else 4 * self.num_bins
        return (
            1,
            -(-self.input.height // int(stride)),
            -(-self.input.width // int(stride)),
            channels,
        )

    def with_strides(self, strides: tuple[int, ...]) -> ModelSpec:
        """The same model answering for `strides` only."""
        return dataclasses.replace(self, graph=dataclasses.replace(self.graph, strides=strides))

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
        except ValueError as error:
            raise KitError(f"{source}: the embedded model spec is not JSON ({error})") from None
        version = values.pop("spec_version", None) if isinstance(values, dict) else None
        if version != SPEC_VERSION:
            raise KitError(
                f"{source}: model spec version {version}, this kit reads {SPEC_VERSION}; "
                "rebuild the file with recipe.sh"
            )
        return _build(cls, values, source)

    @classmethod
    def from_yaml(cls, path: Path) -> ModelSpec:
        """Read a variant of `models/`; `classes` there names a file of one class a line."""
        import yaml  # Boards read the embedded JSON and need no YAML.

        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise KitError(f"{path}: cannot be read as YAML ({error})") from None
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
    return dataclasses.replace(spec, graph=GraphSpec(spec.graph.strides))


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
            raise KitError(f"{where}: expected a list, got {value!r}")
        return tuple(_convert(typing.get_args(hint)[0], item, where) for item in value)
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    if options:  # Optional
        return None if value is None else _convert(options[0], value, where)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(Any, hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise KitError(f"{where}: expected {hint.__name__}, got {value!r}")
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
