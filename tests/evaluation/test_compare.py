"""`./nanodet compare` on files that evaluate.py wrote, and on files it did not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.names import ROOT
from evaluation.coco import score
from evaluation.compare import compare, load
from runtime.errors import KitError
from tests.conftest import NANODET, Build, run_here, run_python

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


@pytest.fixture
def evaluated(build: Build, annotated: Path, tmp_path: Path) -> Callable[..., Path]:
    """Detections that evaluate.py wrote, beside its figures in `s.json`."""
    content = json.loads(annotated.read_text())
    content["categories"].append({"id": 3, "name": "toothbrush"})
    box = content["annotations"][0]
    content["annotations"].append({**box, "id": 9, "category_id": 3})
    annotated.write_text(json.dumps(content))

    def run(name: str, *options: str) -> Path:
        data = ["--images", "images", "--annotations", str(annotated), "--json", "s.json"]
        done = run_here(tmp_path, str(ROOT / "evaluate.py"), str(build.tflite), *data, *options,
                        "--detections", name)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return tmp_path / name

    return run


def test_ap_is_that_of_evaluate(
    evaluated: Callable[..., Path], annotated: Path, tmp_path: Path
) -> None:
    """Also with a class of which nothing is found."""
    path = evaluated("d.json", "--score-threshold", "0")
    content = json.loads(path.read_text())
    assert content["images"] == [0, 1, 2] and content["classes"] == ["person", "toothbrush"]
    content["detections"] = PERFECT
    path.write_text(json.dumps(content))
    (tmp_path / "plain.json").write_text(json.dumps(PERFECT))
    for one, other in (("d.json", "d.json"), ("d.json", "plain.json"), ("plain.json",) * 2):
        files = tmp_path / one, tmp_path / other
        images, base, after = load(annotated, *files)
        found = compare(images, base, after, progress=False)[0]
        assert (found.base, found.other) == pytest.approx((50, 50)), "the toothbrush counts as 0"
    found_by_evaluate = score(images, PERFECT, ("person", "toothbrush")).figures["AP"]
    assert found_by_evaluate == pytest.approx(50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "2"], "d.json is of 3 images, e.json of 2; evaluate alike"),
        (["--aspect", "1.4:1.6"], ""),
    ],
)
def test_results_of_other_images(
    evaluated: Callable[..., Path], annotated: Path, options: list[str], message: str
) -> None:
    files = evaluated("d.json", "--score-threshold", "0"), evaluated("e.json", *options)
    if not message:
        assert len(load(annotated, *files)[0].image_ids) == 3
        return
    with pytest.raises(KitError) as caught:
        load(annotated, *files)
    assert str(caught.value).replace(f"{annotated.parent}/", "") == message


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
        ('{"detections": [], "images": [9], "classes": []}', "no image 9"),
        ('{"detections": [], "images": [1], "classes": ["cat"]}', "no class cat"),
        ('{"detections": 1, "images": [1], "classes": []}', "no list of detections"),
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
