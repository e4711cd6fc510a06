"""`./nanodet compare` on files that evaluate.py wrote, and on files it did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.annotations import read_results
from data.names import ROOT
from tests.conftest import NANODET, Build, run_python

PERFECT = [
    {"image_id": i, "category_id": 1, "bbox": [0.0, 0.0, 96.0, 64.0], "score": 0.9}
    for i in range(3)
]


def test_against_figures_by_hand(annotated: Path, tmp_path: Path) -> None:
    for name, results in (("base", PERFECT), ("other", PERFECT[:2])):
        (tmp_path / f"{name}.json").write_text(json.dumps(results))
    arguments = ["base.json", "other.json", "--annotations", str(annotated), "--json", "c.json"]
    done = run_python(tmp_path, NANODET, "compare", *arguments)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "c.json").read_text())
    assert list(found) == ["AP", *(f"AP{iou}" for iou in range(50, 100, 5))]
    for figure in found:
        assert found[figure]["base"] == pytest.approx(100)
        # Two of three boxes: 67 of COCO's 101 steps of recall.
        assert found[figure]["other"] == pytest.approx(100 * 67 / 101, abs=1e-3)
        # A share of 2/3 from three draws (binomial).
        assert found[figure]["standard_error"] == pytest.approx(100 * (2 / 9 / 3) ** 0.5, rel=0.2)
    assert done.stdout.startswith("3 images") and done.stdout.count("-33.66") == 11


def test_what_evaluate_writes(build: Build, annotated: Path, tmp_path: Path) -> None:
    done = run_python(
        tmp_path, str(ROOT / "evaluate.py"), str(build.tflite), "--score-threshold", "0",
        "--images", "images", "--annotations", str(annotated), "--detections", "d.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = read_results(tmp_path / "d.json", range(3), {1: "person"})
    assert found == json.loads((tmp_path / "d.json").read_text()) != []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "not a COCO result file"),
        ('{"AP": 1}', "no list of detections"),
        ("[1]", "not a COCO result file"),
        ('[{"image_id": 1}]', "no 'bbox'"),
        ('[{"bbox": [1, 2, 3], "score": 1}]', "not enough values"),
        ('[{"bbox": [1, 2, 3, NaN], "score": 1}]', "is no number"),
        ('[{"bbox": [1, 2, 3, 4], "score": 1, "image_id": -7, "category_id": 1}]', "no image -7"),
        ("[]", "no detections"),
    ],
)
def test_bad_results(annotated: Path, tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    arguments = [str(path), str(path), "--annotations", str(annotated)]
    done = run_python(tmp_path, NANODET, "compare", *arguments)
    assert done.returncode == 2 and message in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
