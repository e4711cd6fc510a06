from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from evaluation import CocoSet
from pipeline.report.accuracy import accuracy
from pipeline.report.contract import Accuracy, Findings, Job, Missing, Structure
from runtime.tflite_file import TfliteFile

_SMALL = Structure(1, 1, {})


def test_steps_and_classes(found: Findings) -> None:
    measured = found.accuracy
    assert isinstance(measured, Accuracy)
    assert [step.engine for step in measured.steps] == ["torch", "onnx", "litert", "tflm"]
    assert measured.images == 3 and measured.left_out == ""
    assert [(c.name, c.boxes) for c in measured.classes] == [("person", 2), ("car", 1)]
    person = measured.quantized.scores.per_class["person"]
    assert measured.classes[0].ap == person[1]


@pytest.mark.parametrize(
    ("change", "macs", "message"),
    [
        ({"no_arena": "too wide"}, 1, "does not run this file"),
        ({"arena_bytes": None}, 1, "does not run this file"),
        ({}, 10**9, "reference kernels take minutes for 1,000 M"),
    ],
)
def test_why_tensorflow_lite_micro_is_left_out(
    job: Job, change: dict[str, object], macs: int, message: str
) -> None:
    assert job.evaluation is not None
    other = dataclasses.replace(job, content={**job.content, **change})
    file = TfliteFile.read(job.tflite)
    images = CocoSet.load(job.evaluation.folder, job.evaluation.path, file.spec.classes, 1)
    measured = accuracy(other, file, Structure(1, macs, {}), images)
    assert isinstance(measured, Accuracy)
    assert message in measured.left_out and measured.steps[-1].engine == "litert"


def test_no_annotations(job: Job) -> None:
    measured = accuracy(job, TfliteFile.read(job.tflite), _SMALL, None)
    assert isinstance(measured, Missing) and "--annotations" in measured.why


def test_no_box_annotated(job: Job, annotation_file: Path, tmp_path: Path) -> None:
    values = json.loads(annotation_file.read_text()) | {"annotations": []}
    (tmp_path / "none.json").write_text(json.dumps(values))
    file = TfliteFile.read(job.tflite)
    images = CocoSet.load(annotation_file.parent, tmp_path / "none.json", file.spec.classes)
    measured = accuracy(job, file, _SMALL, images)
    assert isinstance(measured, Missing) and "No box is annotated" in measured.why
