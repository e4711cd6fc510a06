from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.cocoeval import COCOeval

from evaluation import CocoSet, detect_all, score
from evaluation.coco import FIGURES, annotates
from runtime.detections import Detections
from runtime.errors import KitError

CLASSES = ("cat", "dog", "unicorn")
BOXES = {1: [(10, 10, 40, 30, 18)], 2: [(5, 5, 20, 20, 17), (30, 30, 10, 20, 18)], 3: []}


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Three images; categories are numbered and ordered otherwise than the model's classes."""
    content: dict[str, Any] = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in (3, 1, 2)
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
        "annotations": [],
    }
    for image_id, boxes in BOXES.items():
        Image.fromarray(np.full((64, 64, 3), image_id, np.uint8)).save(tmp_path / f"{image_id}.png")
        for x, y, w, h, category in boxes:
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("dog", "unicorn"), True), (("unicorn",), False)],
    ids=["one class is enough", "a network of a user's own"],
)
def test_annotates(annotated: Path, names: tuple[str, ...], expected: bool) -> None:
    assert annotates(annotated, names) is expected


class Oracle:
    """Knows the boxes; the pixels say which image it is."""

    def __init__(self, shift: float = 0.0, swap: bool = False) -> None:
        self.shift, self.classes = shift, {17: 1 if swap else 0, 18: 0 if swap else 1}

    def detect(self, path: Path) -> Detections:
        boxes = BOXES[int(path.stem)]
        xyxy = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in boxes], np.float32)
        return Detections(
            xyxy.reshape(-1, 4) + self.shift,
            np.full(len(boxes), 0.9, np.float32),
            np.array([self.classes[c] for *_, c in boxes], np.int64),
        )


def evaluate(annotated: Path, detector: Any, limit: int | None = None) -> Any:
    images = CocoSet.load(annotated.parent, annotated, CLASSES, limit)
    return score(images, detect_all(detector, images, progress=False), CLASSES)


def test_perfect_detections(annotated: Path) -> None:
    scores = evaluate(annotated, Oracle())
    assert list(scores.figures) == FIGURES
    assert scores.figures["AP"] == pytest.approx(100)
    assert scores.figures["APl"] == -1, "there is no large box"
    assert scores.per_class == {
        "cat": (pytest.approx(100), pytest.approx(100)),
        "dog": (pytest.approx(100), pytest.approx(100)),
    }


def test_swapped_classes_find_nothing(annotated: Path) -> None:
    assert evaluate(annotated, Oracle(swap=True)).figures["AP"] == 0


def test_shifted_boxes_lose_the_strict_thresholds(annotated: Path) -> None:
    figures = evaluate(annotated, Oracle(shift=2.0)).figures
    assert figures["AP50"] > 60 and figures["AP"] < 60


@pytest.mark.parametrize(
    ("iou", "thresholds", "shift"),
    [("0.50", [0.5], 3), ("0.75", [0.75], 2), ("0.50 to 0.95", 0.5 + 0.05 * np.arange(10), 2)],
)
def test_curves_are_those_of_pycocotools(
    annotated: Path, iou: str, thresholds: list[float], shift: float
) -> None:
    """pycocotools asked for these thresholds, and each class, alone."""
    images = CocoSet.load(annotated.parent, annotated, CLASSES)
    results = detect_all(Oracle(shift), images, progress=False)  # type: ignore[arg-type]
    wanted = []
    for category in (17, 18):
        evaluation = COCOeval(images.coco, images.coco.loadRes(results), "bbox")
        evaluation.params.iouThrs = np.array(thresholds)
        evaluation.params.catIds = [category]
        evaluation.evaluate()
        evaluation.accumulate()
        wanted.append(evaluation.eval["precision"][:, :, 0, 0, -1].mean(axis=0))
    curve = score(images, results, CLASSES).curves[iou]
    assert len(curve) == 101 and len(set(curve)) > 1
    np.testing.assert_allclose(curve, 100 * np.mean(wanted, axis=0))


def test_no_detections_at_all(annotated: Path) -> None:
    class Blind:
        def detect(self, path: Path) -> Detections:
            return Detections.empty()

    assert evaluate(annotated, Blind()).figures["AP"] == 0


def test_limit_takes_the_smallest_ids(annotated: Path) -> None:
    images = CocoSet.load(annotated.parent, annotated, CLASSES, 2)
    assert images.image_ids == (1, 2)
    assert images.category_ids == (17, 18, None)


def coco(**changed: object) -> str:
    """A file with one annotation that is wrong in one field."""
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "categories": [{"id": 1, "name": CLASSES[0]}],
        "annotations": [box | changed],
    }
    return json.dumps(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a COCO annotation file"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "not a COCO annotation file"),
        (coco(image_id="one"), "the `id` 'one' is no whole number"),
        (coco(image_id="²"), "is no whole number"),
        (coco(image_id=""), "is no whole number"),
        (coco(image_id=1.5), "the `id` 1.5 is no whole number"),
        (coco(image_id=float("inf")), "is no whole number"),
        (coco(image_id=True), "the `id` True is no whole number"),
        (coco(image_id=None), "the `id` None is no whole number"),
        (coco(image_id=1 << 63), "is no whole number"),
        (coco(category_id=[1]), "is no whole number"),
        (coco(bbox=[1, 2, 3]), "not enough values"),
        (coco(bbox=None), "not a COCO annotation file"),
        (coco(bbox=[1, 2, 3, float("nan")]), "nan is no number"),
        (coco(bbox=[9, 9, -9, 9]), "negative width or height"),
        (coco(bbox=[9, 9, 9, -0.5]), "negative width or height"),
        (coco(area="9"), "'9' is no number"),
        (coco(area=float("inf")), "inf is no number"),
        (coco(iscrowd=7), "`iscrowd` is 7, neither 0 nor 1"),
        (coco(iscrowd="perhaps"), "neither 0 nor 1"),
        (coco(iscrowd=[]), "not a COCO annotation file"),
        (coco().replace('"annotations": [', '"annotations": [7, '), "not a COCO annotation file"),
        (coco().replace('"images": [', '"images": [{"id": 1, "file_name": "2.jpg"}, '),
         "images `2.jpg` and `1.jpg` share the `id` 1"),
        (coco().replace('"categories": [', '"categories": [{"id": "1", "name": "fish"}, '),
         "categories `fish` and `cat` share the `id` 1"),
        ('{"images": [], "categories": []}', "no images"),
        (
            '{"images": [{"id": 1, "file_name": ""}], "categories": [{"id": 1, "name": "fish"}]}',
            "classes",
        ),
    ],
)  # fmt: skip
def test_wrong_annotations(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(KitError, match=f"a.json.*{message}"):
        CocoSet.load(tmp_path, tmp_path / "a.json", CLASSES)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="--images"):
        CocoSet.load(tmp_path / "nowhere", tmp_path / "a.json", CLASSES)
    with pytest.raises(KitError, match="--annotations"):
        CocoSet.load(tmp_path, tmp_path / "a.json", CLASSES)
