from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation import CocoSet, detect_all, score
from evaluation.coco import FIGURES
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


def test_no_detections_at_all(annotated: Path) -> None:
    class Blind:
        def detect(self, path: Path) -> Detections:
            return Detections.empty()

    assert evaluate(annotated, Blind()).figures["AP"] == 0


def test_limit_takes_the_smallest_ids(annotated: Path) -> None:
    images = CocoSet.load(annotated.parent, annotated, CLASSES, 2)
    assert images.image_ids == (1, 2)
    assert images.category_ids == (17, 18, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a COCO annotation file"),
        ("[]", "not a COCO annotation file"),
        ('{"images": [], "categories": []}', "no images"),
        ('{"images": [{"id": 1}], "categories": [{"id": 1, "name": "fish"}]}', "classes"),
    ],
)
def test_wrong_annotations(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(KitError, match=f"a.json.*{message}"):
        CocoSet.load(tmp_path, tmp_path / "a.json", CLASSES)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="--images"):
        CocoSet.load(tmp_path / "nowhere", tmp_path / "a.json", CLASSES)
    with pytest.raises(KitError, match="--annotations"):
        CocoSet.load(tmp_path, tmp_path / "a.json", CLASSES)
