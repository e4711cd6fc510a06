"""Measures what the report shows and writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert.engines import OnnxEngine
from evaluation import CocoSet
from pipeline.report import latency, render
from pipeline.report.accuracy import accuracy
from pipeline.report.arena import arena
from pipeline.report.contract import Accuracy, ArenaMap, Findings, Job, Missing
from pipeline.report.engine import engine_run
from pipeline.report.noise import noise
from pipeline.report.pictures import pictures
from pipeline.report.structure import structure
from runtime.detector import Detector
from runtime.files import write_text
from runtime.tflite_file import TfliteFile

_LOOKED_AT = 50  # Of the calibration images, for some in which something is found.


def make(job: Job, page: Path, card: Path) -> dict[str, Any]:
    """Write `report.html` and `MODEL_CARD.md`; the same inputs give the same bytes.

    Returns the waterfall for `report.json`.
    """
    file = TfliteFile.read(job.tflite)
    found = findings(job, file)
    write_text(page, render.page(job, file.spec, found))
    write_text(card, render.card(job, file.spec, found))
    measured = found.accuracy if isinstance(found.accuracy, Accuracy) else None
    return {
        "page_bytes": page.stat().st_size,
        "waterfall": [{"step": s.name, "AP": s.ap} for s in measured.steps] if measured else None,
    }


def findings(job: Job, file: TfliteFile) -> Findings:
    """Measure everything."""
    spec, content = file.spec, job.content
    chosen = job.evaluation
    images = chosen and CocoSet.load(chosen.folder, chosen.path, spec.classes, chosen.limit)
    paths = _annotated_paths(images) if images else list(job.calibration[:_LOOKED_AT])
    exact = Detector(OnnxEngine(job.onnx))
    quantized = Detector(job.tflite)
    made_of = structure(file.content, file.path, content["tflite"]["operators"])
    return Findings(
        accuracy=accuracy(job, file, made_of, images or None),
        pictures=pictures(exact, quantized, paths),
        annotated=bool(images),
        noise=noise(job, file),
        structure=made_of,
        arena=_arena(file),
        engine=engine_run(file.content, file.path),
        latencies=latency.latencies(
            content["cortex_m7"],
            content["arena_reserved_bytes"],
            len(file.content),
            content["engine"],
        ),
        published=latency.published(),
    )


def _arena(file: TfliteFile) -> ArenaMap | Missing:
    if file.input.dtype == "FLOAT32":
        return Missing("A float file does not go to a microcontroller.")
    return arena(file.content, file.path)


def _annotated_paths(images: CocoSet) -> list[Path]:
    return [images.folder / images.coco.imgs[i]["file_name"] for i in images.image_ids]
