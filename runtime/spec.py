"""`ModelSpec`: everything the kit needs to know about a model, in one frozen value.

It is read from `models/<name>.yaml`, passed from stage to stage, and embedded as JSON in every
ONNX and TFLite file the kit writes (see `runtime.tflite_file`), so that a model file is enough
to evaluate, run or deploy it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from .errors import KitError
from .records import read_record
from .yaml_file import read_yaml

SPEC_VERSION = 1
METADATA_NAME = "nanodet_model_spec"

BACKBONES = (
    *(f"shufflenet_v2_{size}x" for size in ("0.5", "1.0", "1.5", "2.0")),
    *(f"repvgg_{size}" for size in ("a0", "a1", "a2", "b0", "b1")),
    *(f"efficientnet_lite{size}" for size in range(5)),
    *("mobilenet_v2", "ghostnet", "custom_csp"),
)
NECKS = ("pan", "ghost_pan")
ACTIVATIONS = ("leaky_relu", "relu", "relu6", "hard_swish")
CHANNELS = {"BGR": 3, "RGB": 3, "GREY": 1}  # By colour order.
PIXEL_BYTES = 4  # In blocks, see `GraphSpec`.
DATASETS = ("coco", "shapes")


@dataclass(frozen=True)
class BackboneOptions:
    """What a backbone other than ShuffleNetV2 is told.

    stages: numbers of the stages that it hands on, counted as upstream counts them.
    width: what multiplies the channels of `mobilenet_v2` and `ghostnet`.
    last_channels: of the last stage of RepVGG and `mobilenet_v2`; 0 for their own number.
    layers: the stages of `custom_csp`, a line each, such as `CspBlock 32 1 3 1`.
    """

    stages: tuple[int, ...]
    width: float = 1.0
    last_channels: int = 0
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rising = list(self.stages) == sorted(set(self.stages)) and min(self.stages, default=-1) >= 0
        _check(rising, "stages", f"must rise from 0 or more, got {_listed(self.stages)}")
        _check(0.1 <= self.width <= 4, "width", "must lie in 0.1..4")
        _check(self.last_channels >= 0, "last_channels", "must be positive")


@dataclass(frozen=True)
class Architecture:
    """The network as trained.

    neck: `pan` (NanoDet-m) or `ghost_pan` (NanoDet-Plus).
    neck_kernel: side of the depthwise kernels of a GhostPAN, in cells; a PAN has none.
    head_kernel, head_channels: side of the head's depthwise kernels, and its width.
    head_convs: depthwise-separable blocks before the last 1x1 convolution.
    reg_max: distances are distributions over the bins 0..reg_max, in units of the stride.
    strides: pixels per cell, finest first; those of the backbone's stages, 8, 16 and 32 of
    ShuffleNetV2, and for a GhostPAN one doubling more.
    prior_offset: a cell's centre is (index + prior_offset) * stride.
    backbone_options: of all backbones but ShuffleNetV2, which has none.
    head_dense: the head's blocks are plain convolutions.
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
    backbone_options: Optional[BackboneOptions] = None
    head_dense: bool = False

    def __post_init__(self) -> None:
        _one_of("architecture.backbone", self.backbone, BACKBONES)
        _one_of("architecture.neck", self.neck, NECKS)
        for field in ("backbone_activation", "neck_activation", "head_activation"):
            _one_of(f"architecture.{field}", getattr(self, field), ACTIVATIONS)
        for field in ("neck_channels", "head_channels", "head_convs", "reg_max"):
            _check(getattr(self, field) > 0, f"architecture.{field}", "must be positive")
        for field in ("neck_kernel", "head_kernel"):
            odd = getattr(self, field) > 0 and getattr(self, field) % 2 == 1
            _check(odd, f"architecture.{field}", "must be odd and positive")
        halves = self.neck == "pan" or self.neck_channels % 2 == 0
        _check(halves, "architecture.neck_channels", "must be even for a GhostPAN")
        of_shuffle = self.backbone.startswith("shufflenet")
        told = self.backbone_options
        _check(of_shuffle == (told is None), "architecture.backbone_options", "do not fit")
        stages, levels = (3 if told is None else len(told.stages)), len(self.strides)
        first = self.strides[0] if self.strides else 0
        fits = levels in ((stages,) if self.neck == "pan" else (stages, stages + 1))
        fits &= first in ((8,) if of_shuffle else (2, 4, 8, 16, 32))
        fits &= self.strides == tuple(first << i for i in range(levels))
        problem = f"{_listed(self.strides)} do not fit neck `{self.neck}` on {stages} stages"
        _check(fits, "architecture.strides", f"{problem}; see the backbone's out_stages")
        _check(0 <= self.prior_offset <= 1, "architecture.prior_offset", "must lie in 0..1")


@dataclass(frozen=True)
class InputSpec:
    """What the network sees: size in pixels, resize rule, channel order and normalisation.

    colour_order: `BGR`, `RGB`, or `GREY` for one channel.
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
        _one_of("input.colour_order", self.colour_order, CHANNELS)
        for field in ("mean", "std"):
            problem = f"must have {self.channels} values for {self.colour_order}"
            _check(len(getattr(self, field)) == self.channels, f"input.{field}", problem)
        _check(min(self.std) > 0, "input.std", "must have positive values")
        _check(0 <= self.raw_offset <= 255, "input.raw_offset", "must lie in 0..255")
        _check(self.raw_scale > 0, "input.raw_scale", "must be positive")

    @property
    def channels(self) -> int:
        """1 for grey, else 3."""
        return CHANNELS[self.colour_order]

    @property
    def canvas_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        return self.height, self.width, self.channels


@dataclass(frozen=True)
class GraphSpec:
    """What a built graph reads and returns; set by the lowering.

    strides: the strides it answers for, finest first.
    class_ids: the classes it answers for, as indices into `ModelSpec.class_names`; empty for all.
    raw_pixels: it takes (pixel - raw_offset) / raw_scale rather than normalised pixels.
    rotated_180: it takes the image rotated by 180 degrees and returns its grids so rotated.
    space_to_depth: it takes blocks of 2x2 pixels as channels, (1, H/2, W/2, 16): each block row by
    row, each pixel in the colour order and filled up to `PIXEL_BYTES`, which weigh nothing.
    """

    strides: tuple[int, ...]
    class_ids: tuple[int, ...] = ()
    raw_pixels: bool = False
    rotated_180: bool = False
    space_to_depth: bool = False

    def __post_init__(self) -> None:
        ok = bool(self.strides) and min(self.strides) > 0
        ok &= list(self.strides) == sorted(set(self.strides))
        problem = f"must be positive and rising, got {_listed(self.strides)}"
        _check(ok, "graph.strides", problem)


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
        ids = list(self.graph.class_ids)
        rising = ids == sorted(set(ids).intersection(range(len(self.class_names))))
        _check(rising, "graph.class_ids", "must rise and lie within the class names")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes the graph answers for, in the order of its channels."""
        ids = self.graph.class_ids
        return tuple(self.class_names[i] for i in ids) if ids else self.class_names

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
        height, width, channels = self.input.canvas_shape
        if self.graph.space_to_depth:
            return (1, height // 2, width // 2, 4 * PIXEL_BYTES)
        return (1, height, width, channels)

    def output_shape_nhwc(self, name: str) -> tuple[int, int, int, int]:
        """Shape of the output `name` in NHWC."""
        kind, stride = name.split("_")
        channels = len(self.classes) if kind == "cls" else 4 * self.num_bins
        rows, columns = (-(-n // int(stride)) for n in (self.input.height, self.input.width))
        return (1, rows, columns, channels)

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
        values = {"spec_version": SPEC_VERSION, **dataclasses.asdict(self)}
        # Left out at their defaults, so that files and older kits go together.
        for field in dataclasses.fields(Architecture):
            if values["architecture"][field.name] == field.default:
                del values["architecture"][field.name]
        return json.dumps(values, sort_keys=True)

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
        return read_record(cls, values, source)

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
        return read_record(cls, values, str(path))


def as_trained(spec: ModelSpec) -> ModelSpec:
    """The spec of the network before lowering: normalised pixels, upright."""
    return dataclasses.replace(spec, graph=GraphSpec(spec.graph.strides, spec.graph.class_ids))


def _check(holds: bool, field: str, problem: str) -> None:
    if not holds:
        raise KitError(f"{field}: {problem}")


def _one_of(field: str, value: str, known: Iterable[str]) -> None:
    _check(value in known, field, f"`{value}` is not supported; known: {_listed(known)}")


def _listed(items: Iterable[Any]) -> str:
    return ", ".join(str(item) for item in items)
