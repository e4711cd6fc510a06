"""Names of what is built and where it goes, and the options that choose it."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data import locate
from quantize import METHODS
from quantize.targets import SWITCHABLE, TARGETS
from runtime.errors import KitError, OtherNetwork
from runtime.spec import ACTIVATIONS, ModelSpec

ROOT = Path(__file__).parent.parent


def kit_version() -> str:
    """As pyproject.toml says. `environment.version` is for what runs before any package; stages of
    the recipe import rooms alone."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (found,) = re.findall('^version = "(.+)"$', text, re.MULTILINE)
    return str(found)


DEFAULT_MODEL = "nanodet-m-0.5x"
EMBEDDED_MODEL = "nanodet-m-0.5x-shapes"
_CLASSES_IN_NAME = 3
_COARSEST_ALONE = 32  # A coarser stride does not stand alone by default.


def add_model_options(parser: argparse._ActionsContainer, model_default: str) -> None:
    """Options that choose a network: `--model` or `--config`, `--strides`, `--classes`."""
    add = parser.add_argument
    add("--model", dest="variant", metavar="NAME", help=f"variant of models/, {model_default}")
    add("--config", type=Path, metavar="YAML", help="upstream's training configuration instead")
    add("--input-size", type=parse_size, metavar="N|WxH", help="in pixels, e.g. 256 or 320x192")
    add("--strides", type=parse_strides, metavar="LIST", help="e.g. 32, 16,32 or 8,16,32")
    add("--classes", type=parse_names, metavar="LIST", help="only these, e.g. person,car")
    add("--weights", type=Path, metavar="PATH", help="your own checkpoint of that network")
    add("--activation", choices=ACTIVATIONS, help="of the whole network, instead of the model's")


def chosen_spec(
    options: argparse.Namespace, target: str = "mcu", training: bool = False
) -> ModelSpec:
    """The spec that the options of `add_model_options` and `--camera` choose.

    Strides default to what the target has by default, see `quantize.targets`; NanoDet-Plus has all
    of them on every target, for its stride 64 alone finds next to nothing. training: with the
    input that a configuration trains with; else its keys of the network that nothing follows are
    named on stderr.
    """
    if options.config is not None and options.variant is not None:
        raise KitError("--model and --config both choose the network; give one of the two")
    if options.config is not None:
        from convert.training_config import read_training_config, unused_keys

        spec = read_training_config(options.config, training)
        if not training and (unused := unused_keys(options.config)):
            print(f"--config {options.config}: not used: {', '.join(unused)}", file=sys.stderr)
    else:
        spec = locate.model_spec(options.variant or DEFAULT_MODEL)
    if options.activation:
        spec = _with_activation(spec, options.activation)
    size = options.input_size or (spec.input.width, spec.input.height)
    if getattr(options, "camera", None) is not None and spec.input.keep_ratio:
        size = camera_canvas(options.camera, max(size))
    spec = with_input_size(spec, *size)
    known = spec.architecture.strides
    whole = TARGETS[target].all_strides or known[-1] > _COARSEST_ALONE
    spec = spec.with_strides(options.strides or (known if whole else known[-1:]))
    return spec.with_classes(options.classes) if options.classes else spec


def chosen_network(options: argparse.Namespace) -> ModelSpec:
    """The network that the options of `add_model_options` choose, as trained: with all its strides
    unless `--strides` says otherwise."""
    spec = chosen_spec(options)
    return spec if options.strides else spec.with_strides(spec.architecture.strides)


@contextmanager
def naming_the_choice(options: argparse.Namespace) -> Iterator[None]:
    """Add the option that chose the network to the error that a checkpoint is of another."""
    try:
        yield
    except OtherNetwork as error:
        advice = "choose the variant with --model"
        if options.config is not None:
            advice = f"give the --config that it was trained with, not {options.config}"
        raise KitError(f"{error}; {advice}") from None


def _with_activation(spec: ModelSpec, activation: str) -> ModelSpec:
    """Another network, for which the published weights do not stand."""
    parts: dict[str, Any] = {f"{p}_activation": activation for p in ("backbone", "neck", "head")}
    architecture = dataclasses.replace(spec.architecture, **parts)
    if architecture == spec.architecture:
        return spec
    name = f"{spec.name}-{activation.replace('_', '-')}"
    return dataclasses.replace(
        spec, name=name, architecture=architecture, weights=None, published_map=None
    )


def with_input_size(spec: ModelSpec, width: int, height: int) -> ModelSpec:
    """The same weights at another size, which shows in the name."""
    size = dataclasses.replace(spec.input, width=width, height=height)
    if size == spec.input:
        return spec
    shown = f"{width}" if width == height else f"{width}x{height}"
    return dataclasses.replace(spec, name=f"{spec.name}-{shown}", input=size, published_map=None)


def camera_canvas(camera: tuple[int, int], longest: int) -> tuple[int, int]:
    """Width and height of the smallest canvas, in multiples of 32, that takes a camera's pictures
    at `longest` pixels on their longer side."""
    whole = 32 * max(camera)
    width, height = (-(-longest * side // whole) * 32 for side in camera)
    return width, height


def variant(model: str, strides: tuple[int, ...] | None) -> ModelSpec:
    """The spec of a model of `models/`, answering for `strides`; default the coarsest alone."""
    spec = locate.model_spec(model)
    return spec.with_strides(strides or spec.architecture.strides[-1:])


def file_stem(spec: ModelSpec, quantization: str = "int8") -> str:
    """Name of the files built from a model: `nanodet_m_0.5x` for the coarsest stride alone,
    `..._s16` for stride 16 and coarser, `..._only16` for another single stride, then the classes
    where they are a choice, then `_s2d` for an input of blocks, then the quantization unless
    it is int8."""
    stem = spec.name.replace("-", "_")
    known, chosen = spec.architecture.strides, spec.graph.strides
    if chosen != known[-1:]:
        stem += f"_only{chosen[0]}" if len(chosen) == 1 else f"_s{chosen[0]}"
    if spec.graph.class_ids:
        few = len(spec.classes) <= _CLASSES_IN_NAME
        words = "-".join(spec.classes) if few else f"{len(spec.classes)}classes"
        stem += "_" + re.sub(r"[^\w-]", "-", words)
    stem += "_s2d" * spec.graph.space_to_depth
    return stem if quantization == "int8" else f"{stem}_{quantization.replace('-', '_')}"


def tflite_path(spec: ModelSpec, out: Path, quantization: str = "int8") -> Path:
    """Where the finished model goes."""
    return out / f"{file_stem(spec, quantization)}.tflite"


def onnx_path(spec: ModelSpec, out: Path, layout: str) -> Path:
    """Where the ONNX file goes that `--stop-after onnx` makes."""
    return out / f"{file_stem(spec)}{'_omz' * (layout == 'omz')}.onnx"


def quantization_methods(options: argparse.Namespace) -> list[str]:
    """The methods that `--fast` and `--without` leave, see `quantize.methods`."""
    return [m for m in METHODS if not options.fast and m not in options.without]


def work_folder(spec: ModelSpec, out: Path, quantization: str = "int8") -> Path:
    """Where the stages leave their files."""
    return out / "build" / file_stem(spec, quantization)


def parse_strides(text: str) -> tuple[int, ...]:
    """Command-line type: `16,32` -> (16, 32)."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected numbers such as 16,32") from None


def parse_size(text: str) -> tuple[int, int]:
    """Command-line type: `256` -> (256, 256), `320x192` -> (320, 192), width first."""
    try:
        width, by, height = text.partition("x")
        return int(width), int(height if by else width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected 256 or 320x192") from None


def parse_names(text: str) -> tuple[str, ...]:
    """Command-line type: `person, car` -> ("person", "car")."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("expected names such as person,car")
    return names


def parse_methods(text: str) -> tuple[str, ...]:
    """Command-line type: `equalize,reconstruct`; only names of `METHODS`."""
    return _some_of(METHODS, text)


def parse_rewrites(text: str) -> tuple[str, ...]:
    """Command-line type: `narrow_neck,pool_first`; only names of `SWITCHABLE`."""
    return _some_of(SWITCHABLE, text)


def _some_of(known: tuple[str, ...], text: str) -> tuple[str, ...]:
    names = parse_names(text)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]}: expected some of {', '.join(known)}")
    return names
