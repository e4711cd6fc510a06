"""The stages. Each takes files and gives files; heavy packages are imported only when it runs."""

from __future__ import annotations

import itertools
import math
import resource
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from runtime.errors import KitError
from runtime.files import writing
from runtime.quiet import output_to
from runtime.spec import ModelSpec, as_trained
from runtime.tflite_file import TfliteFile

if TYPE_CHECKING:
    from data.annotations import AnnotatedImages
    from pipeline.report.contract import Job


@dataclass(frozen=True)
class Checkpoint:
    """A network as trained, and its weights."""

    spec: ModelSpec
    weights: Path


@dataclass(frozen=True)
class QatInputs:
    """What quantization-aware fine-tuning takes: the network as trained, pictures to learn from and
    to judge by, rounds, and perhaps a larger network to learn from."""

    network: Checkpoint
    images: tuple[Path, ...]
    held_out: tuple[Path, ...]
    epochs: int
    teacher: Checkpoint | None


_HELD_OUT = 10  # One picture of so many.


def hold_out(pictures: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Pictures to learn from, and a tenth of them, evenly spread, to judge by."""
    judge = tuple(pictures[::_HELD_OUT])
    return tuple(p for i, p in enumerate(pictures) if i % _HELD_OUT), judge


@dataclass(frozen=True)
class QuantizationSettings:
    """quantization: of `quantize.scheme`. methods, rewrites: see `quantize.build`. further: its
    photographs of that name."""

    quantization: str
    methods: tuple[str, ...]
    rewrites: tuple[str, ...]
    further: tuple[Path, ...] = ()


def convert_onnx(
    spec: ModelSpec,
    weights: Path,
    images: Sequence[Path],
    onnx_path: Path,
    layout: str,
    left_out: Collection[str] = (),
) -> dict[str, Any]:
    """Checkpoint -> lowered network -> ONNX, with a parity gate after each rewrite.

    layout: `lowered` for the stages behind; `plain` and `omz` for other people's runtimes.
    left_out: rewrites to do without.
    """
    from convert import omz_export, onnx_export
    from convert.checkpoint import load_network
    from convert.lowering import REWRITES, lower

    canvas = gate_canvas(spec, images)
    loaded = load_network(weights, spec)
    exporter: Any = omz_export if layout == "omz" else onnx_export
    own = tuple(name for name in REWRITES if name not in left_out)
    rewrites = {"plain": onnx_export.PLAIN_REWRITES, "omz": omz_export.REWRITES}.get(layout, own)
    lowered, reports = lower(loaded.network, spec, canvas, rewrites)
    exporter.export(lowered, onnx_path)
    return {
        "notes": list(loaded.notes),
        "rewrites": [vars(report) for report in reports],
        "largest_difference": exporter.check(lowered, onnx_path, canvas),
    }


def convert_tensorflow(
    spec: ModelSpec, images: Sequence[Path], onnx_path: Path, saved_model: Path, log: Path
) -> dict[str, Any]:
    """ONNX -> SavedModel, with a parity gate."""
    canvas = gate_canvas(spec, images)
    with output_to(log):
        from convert import tensorflow_export

        tensorflow_export.export(onnx_path, saved_model, canvas)
        difference = tensorflow_export.check(onnx_path, saved_model, canvas)
    return {"largest_difference": difference}


def quantize(
    images: Sequence[Path],
    onnx_path: Path,
    saved_model: Path,
    tflite: Path,
    settings: QuantizationSettings,
    log: Path,
    tuning: QatInputs | None,
    saved: Path,
) -> dict[str, Any]:
    """SavedModel -> TFLite file, verified before it gets its name.

    saved: folder in which fine-tuning is kept that was interrupted.
    """
    with output_to(log):
        from convert.engines import OnnxEngine
        from quantize import float_file
        from quantize.scheme import FLOAT_FORMATS

        spec = OnnxEngine(onnx_path).spec
    if settings.quantization in FLOAT_FORMATS:
        with output_to(log):
            kind = settings.quantization
            content, operators = float_file.build(saved_model, kind, spec, str(tflite))
        notes: dict[str, Any] = {}
    else:
        with output_to(log):
            float_model = float_file.convert(saved_model)
        content, operators, notes = _integers(
            images, onnx_path, float_model, spec, tflite, settings, tuning, saved
        )
    with writing(tflite) as temporary:
        temporary.write_bytes(content)
    if tuning is not None:
        shutil.rmtree(saved, ignore_errors=True)
        notes["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "quantization": settings.quantization,
        "operators": dict(sorted(operators.items())),
        "bytes": len(content),
        **notes,
    }


def _integers(
    images: Sequence[Path],
    onnx_path: Path,
    float_model: bytes,
    spec: ModelSpec,
    tflite: Path,
    settings: QuantizationSettings,
    tuning: QatInputs | None,
    saved: Path,
) -> tuple[bytes, Counter[str], dict[str, Any]]:
    """Content, operators and notes of an integer file."""
    import calibration
    from quantize.build import build_int8
    from quantize.scheme import SCHEMES

    fine_tuning = None if tuning is None else _fine_tuning(spec, tuning, saved)
    canvases = list(calibration.canvases(images, spec.input))
    with tqdm(desc="quantize", disable=None, leave=False) as bar:
        built = build_int8(
            float_model,
            spec,
            canvases,
            str(tflite),
            onnx_path,
            settings.methods,
            settings.rewrites,
            _show(bar),
            fine_tuning,
            SCHEMES[settings.quantization],
            calibration.Canvases(settings.further, spec.input),
        )
    notes = {
        "rewrites": list(settings.rewrites),
        "methods": [m for m in settings.methods if m != "reconstruct" or tuning is None],
        "quantization_images": len(settings.further) or len(images),
        "qat_images": 0 if tuning is None else len(tuning.images),
        **built.notes,
    }
    return built.content, built.operators, notes


def _fine_tuning(spec: ModelSpec, tuning: QatInputs, saved: Path) -> Any:
    from convert.checkpoint import load_network
    from train.qat import BATCH, FineTuning, Lesson

    if len(tuning.images) < BATCH:
        least = next(n for n in itertools.count() if n - -(-n // _HELD_OUT) >= BATCH)
        raise KitError(f"--qat: too few images, it takes {least} or more")
    own, *other = (
        (load_network(c.weights, c.spec).network, c.spec)
        for c in (tuning.network, tuning.teacher)
        if c is not None
    )
    lesson = Lesson(tuning.images, tuning.held_out, tuning.epochs, saved)
    return FineTuning(*own, spec, lesson, *other)


def _show(bar: Any) -> Callable[[str, int, int], None]:
    now = ""

    def show(what: str, done: int, total: int) -> None:
        nonlocal now
        if what != now:  # Time left is that of what is going on, from where it goes on.
            bar.reset(total)
            bar.set_description(what, refresh=False)
            now, bar.initial = what, done - 1
        bar.n = done
        bar.refresh()

    return show


def compare(
    network: Checkpoint,
    tuned: Path,
    plain: Path,
    pictures: Sequence[Path],
    log: Path,
) -> dict[str, Any]:
    """How far two quantized files find what the network finds in float with all its strides, and
    the standard error of the difference, in percent.

    pictures: that no training has seen. Percentages are None where the network finds nothing.
    """
    with output_to(log):
        from convert.checkpoint import load_network
        from convert.engines import TorchEngine
        from evaluation import ap_detector
        from evaluation.agreement import agreement

        spec = network.spec
        whole = as_trained(spec).with_strides(spec.architecture.strides)
        reference = ap_detector(TorchEngine(load_network(network.weights, spec).network, whole))
        with tqdm(desc="compare", disable=None, leave=False) as bar:
            show = partial(_show(bar), "compare")
            found = agreement(reference, ap_detector(tuned), ap_detector(plain), pictures, show)
    figures = (*found.percent, found.standard_error)
    known = [None if math.isnan(figure) else round(figure, 2) for figure in figures]
    counts = {"pictures": len(pictures), "boxes": found.boxes}
    return {**counts, **dict(zip(("tuned", "plain", "standard_error"), known, strict=True))}


def strides(
    spec: ModelSpec, weights: Path, evaluation: AnnotatedImages, log: Path
) -> dict[str, Any]:
    """AP of the float network by its strides: the coarsest alone, with the next one, ..."""
    with output_to(log):
        from convert.checkpoint import load_network
        from convert.engines import TorchEngine
        from evaluation import CocoSet, ap_detector, detect_all, score

        network, whole = load_network(weights, spec).network, as_trained(spec)
        known = spec.architecture.strides
        images = CocoSet.load(evaluation.folder, evaluation.path, spec.classes, evaluation.limit)
        found = {}
        for first in reversed(range(len(known))):
            chosen = known[first:]
            detector = ap_detector(TorchEngine(network, whole.with_strides(chosen)))
            figures = score(images, detect_all(detector, images, progress=False), spec.classes)
            found[",".join(map(str, chosen))] = float(figures.figures["AP"])
    return {"images": len(images.image_ids), "ap": found}


def measure(tflite: Path, evaluation: AnnotatedImages | None, log: Path) -> dict[str, Any]:
    """Arena by TFLite Micro, instructions as predicted, AP if annotated images are at hand."""
    result: dict[str, Any] = {}
    file = TfliteFile.read(tflite)
    if file.input.dtype != "FLOAT32":
        result |= _on_a_microcontroller(file)
    if evaluation is not None:
        with output_to(log):
            result["ap"] = _average_precision(tflite, evaluation)
    return result


def _on_a_microcontroller(file: TfliteFile) -> dict[str, Any]:
    from analysis.arena import need
    from analysis.cortex_m7 import total
    from runtime.engines.arena import reserved_bytes
    from runtime.tflite_graph import Graph

    graph = Graph.parse(file.content, file.path)
    cost = total(graph)
    result: dict[str, Any] = {
        "cortex_m7": {
            "instructions": None if cost.instructions is None else round(cost.instructions),
            "by_kind": {kind: round(n) for kind, n in cost.by_kind.items()},
            "not_counted": sorted(cost.unknown),
        },
        "engine": _on_the_engine(file),
    }
    try:
        arena = need(Path(file.path))
    except KitError as error:
        if file.input.dtype == "INT8":
            raise
        return {**result, "no_arena": str(error).removeprefix(f"{file.path}: ")}
    reserved = reserved_bytes(arena.bytes, len(graph.named("LEAKY_RELU")))
    told = {"arena_bytes": arena.bytes, "arena_how": arena.how}
    return {**result, **told, "arena_reserved_bytes": reserved}


def _on_the_engine(file: TfliteFile) -> dict[str, Any]:
    """What the kit's own engine takes, or why it refuses the file."""
    from analysis.engine import every
    from firmware.engine import WEIGHTS

    forms = every(file.content, file.path)
    if isinstance(forms, str):
        return {"refused": forms}
    usual = forms[WEIGHTS[0]].cost
    weights = {
        form: {
            "instructions": found.cost.instructions and round(found.cost.instructions),
            "arena_bytes": found.arena_bytes,
            "flash_bytes": found.flash_bytes,
            "flash_read_bytes": found.read_bytes,
        }
        for form, found in forms.items()
    }
    return {
        **weights[WEIGHTS[0]],
        "by_kind": {kind: round(n) for kind, n in usual.by_kind.items()},
        "not_counted": sorted(usual.unknown),
        "weights": weights,
    }


def average_precision(model: Path, evaluation: AnnotatedImages, log: Path) -> float:
    """AP in percent, of an ONNX file in ONNX Runtime, of a TFLite file in LiteRT."""
    with output_to(log):
        return float(_average_precision(model, evaluation)["AP"])


def _average_precision(model: Path, evaluation: AnnotatedImages) -> dict[str, float | str]:
    from convert.engines import OnnxEngine
    from evaluation import CocoSet, ap_detector, detect_all, score

    detector = ap_detector(OnnxEngine(model) if model.suffix == ".onnx" else model)
    names = detector.spec.classes
    images = CocoSet.load(evaluation.folder, evaluation.path, names, evaluation.limit)
    figures = score(images, detect_all(detector, images, progress=False), names).figures
    return {"images": len(images.image_ids), "engine": "litert", **figures}


def report(job: Job, page: Path, card: Path, log: Path) -> dict[str, Any]:
    """`report.html` and `MODEL_CARD.md`."""
    with output_to(log):
        from pipeline.report.build import make

        return make(job, page, card)


def publish(source: Path, target: Path) -> dict[str, Any]:
    """Copy the finished model to where the user wants it."""
    with writing(target) as temporary:
        shutil.copyfile(source, temporary)
    return {}


def gate_canvas(spec: ModelSpec, images: Sequence[Path]) -> Any:
    """The photograph on which the gates compare: the first calibration image."""
    import calibration

    return next(calibration.canvases(images[:1], spec.input))
