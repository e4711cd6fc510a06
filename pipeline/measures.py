"""The stages that measure what was built. Heavy packages are imported only when one runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.contract import Checkpoint
from pipeline.progress import progress
from runtime.errors import KitError
from runtime.quiet import output_to
from runtime.spec import ModelSpec, as_trained
from runtime.tflite_file import TfliteFile

if TYPE_CHECKING:
    from data.annotations import AnnotatedImages


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
        with progress("compare") as show:
            tell = partial(show, "compare")
            found = agreement(reference, ap_detector(tuned), ap_detector(plain), pictures, tell)
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
        "engine": on_the_engine(file),
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


def on_the_engine(file: TfliteFile) -> dict[str, Any]:
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
