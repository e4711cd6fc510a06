"""The stages that make files of files. Heavy packages are imported only when one runs."""

from __future__ import annotations

import itertools
import resource
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.contract import HELD_OUT, QatInputs, QuantizationSettings
from pipeline.progress import progress
from runtime.errors import KitError
from runtime.files import writing
from runtime.quiet import output_to
from runtime.spec import ModelSpec

if TYPE_CHECKING:
    from pipeline.report.contract import Job


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
    with progress("quantize") as show:
        built = build_int8(
            float_model,
            spec,
            canvases,
            str(tflite),
            onnx_path,
            settings.methods,
            settings.rewrites,
            show,
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
        least = next(n for n in itertools.count() if n - -(-n // HELD_OUT) >= BATCH)
        raise KitError(f"--qat: too few images, it takes {least} or more")
    own, *other = (
        (load_network(c.weights, c.spec).network, c.spec)
        for c in (tuning.network, tuning.teacher)
        if c is not None
    )
    lesson = Lesson(tuning.images, tuning.held_out, tuning.epochs, saved)
    return FineTuning(*own, spec, lesson, *other)


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
