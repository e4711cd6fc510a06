"""A job on the small build, and what is found on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from data.annotations import AnnotatedImages
from pipeline.cache import Done
from pipeline.measures import on_the_engine
from pipeline.report.build import findings
from pipeline.report.contract import Findings, Job
from pipeline.summary import build_report
from runtime.tflite_file import TfliteFile
from tests.conftest import Build, photo

HOSTILE = """<script>document.title="hacked"</script> "it's" $x_1$ | `&amp; \u4eba"""
HOSTILE_FILE = """a "b" 'c' <img src=x onerror=alert(1)> & d.jpg"""


def _done(name: str, **result: object) -> Done:
    return Done(name, result, {}, 1.0, False)


@pytest.fixture(scope="session")
def job(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Random weights, three annotated images, one of them with a name to stumble over."""
    folder = tmp_path_factory.mktemp("job")
    names = [HOSTILE_FILE, "1.jpg", "2.jpg"]
    for i, name in enumerate(names):
        Image.fromarray(photo(i, 96, 64)).save(folder / name)
    values = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1 + (i == 2), "bbox": [0, 0, 96, 64],
             "area": 6144, "iscrowd": 0}
            for i in range(3)
        ],
    }  # fmt: skip
    (folder / "annotations.json").write_text(json.dumps(values))
    rewrite = {"name": "narrow_neck", "largest_difference": 0.0, "exact": True}
    stages = [
        _done("onnx", notes=[], rewrites=[rewrite], largest_difference=1e-6),
        _done("tensorflow", largest_difference=2e-6),
        _done("quantize", quantization="int8", methods=[], rewrites=[], operators={"CONV_2D": 9}),
        _done(
            "measure",
            arena_bytes=123_456,
            arena_reserved_bytes=126_000,
            cortex_m7={"instructions": 3e8, "by_kind": {"CONV_2D 1x1": 3e8}, "not_counted": []},
            engine=on_the_engine(TfliteFile.read(build.tflite)),
        ),
    ]
    content = build_report(build.spec, build.checkpoint, "00ff" * 16, build.tflite, stages, "")
    return Job(
        tflite=build.tflite,
        onnx=build.onnx,
        weights=build.checkpoint,
        calibration=[folder / name for name in names],
        evaluation=AnnotatedImages(folder, folder / "annotations.json", 50),
        content=content,
        command="bash recipe.sh --fast",
        trained_by="user",
    )


@pytest.fixture(scope="session")
def found(job: Job) -> Findings:
    return findings(job, TfliteFile.read(job.tflite))


@pytest.fixture
def annotation_file(job: Job) -> Path:
    assert job.evaluation is not None
    return job.evaluation.path
