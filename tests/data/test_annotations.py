"""Annotations as tools write them: COCO's own tool must count every match, as of the control."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data.annotations import Found, read_annotations, read_results
from evaluation import CocoSet, score
from evaluation.coco import FIGURES
from runtime.errors import KitError
from train.data import read_pictures

CLASSES = ("cat", "dog", "traffic light")
Change = Callable[[dict[str, Any]], None]


def control() -> dict[str, Any]:
    """Boxes of every size in four pictures, one a crowd; well-formed."""
    rng = np.random.default_rng(7)
    boxes = []
    for number in range(1, 25):
        x, y = (int(v) for v in rng.integers(0, 60, 2))
        w, h = (int(v) for v in rng.integers(8, 150, 2))
        boxes.append(
            {
                "id": number,
                "image_id": 1 + number % 4,
                "category_id": (7, 3, 9)[number % 3],
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": int(number == 5),
            }
        )
    names = {7: "cat", 3: "dog", 9: "traffic light"}
    return {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": 320, "height": 320} for i in (3, 1, 4, 2)
        ],
        "categories": [{"id": i, "name": name} for i, name in names.items()],
        "annotations": boxes,
    }


def detections() -> list[dict[str, Any]]:
    """Every box, moved a little and scored at random, and false alarms."""
    rng = np.random.default_rng(8)
    found = []
    for box in control()["annotations"]:
        moved = np.array(box["bbox"]) + rng.integers(-3, 4, 4)
        chosen = {name: box[name] for name in ("image_id", "category_id")}
        found.append({**chosen, "bbox": moved.tolist(), "score": float(rng.random())})
        if rng.random() < 0.3:
            found.append({**found[-1], "bbox": [1, 2, 30, 40], "score": float(rng.random())})
    return found


def by_pycocotools(content: dict[str, Any]) -> list[float]:
    """The 12 figures in percent, without the kit."""
    truth = COCO()
    truth.dataset = copy.deepcopy(content)
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections()), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [100 * float(value) for value in evaluation.stats]


def each(part: str, change: Callable[[dict[str, Any], int], Any]) -> Change:
    """A change of every entry, which is given its place, too."""

    def apply(content: dict[str, Any]) -> None:
        for place, entry in enumerate(content[part]):
            change(entry, place)

    return apply


def numbered(kind: Callable[[int], Any]) -> Change:
    """Every `id` and what refers to it, as `kind` has it."""

    def apply(content: dict[str, Any]) -> None:
        for entry in (*content["images"], *content["categories"], *content["annotations"]):
            for name in ("id", "image_id", "category_id"):
                if name in entry:
                    entry[name] = kind(entry[name])

    return apply


def per_image(content: dict[str, Any]) -> None:
    seen: dict[int, int] = {}
    for box in content["annotations"]:
        seen[box["image_id"]] = box["id"] = seen.get(box["image_id"], -1) + 1


def two_of_a_name(content: dict[str, Any]) -> None:
    """A second `dog`, which has half of the boxes."""
    content["categories"].append({"id": 40, "name": "Dog"})
    dogs = [box for box in content["annotations"] if box["category_id"] == 3]
    for box in dogs[::2]:
        box["category_id"] = 40


def underscored(entry: dict[str, Any], place: int) -> None:
    entry["name"] = entry["name"].upper().replace(" ", "_")


def stray(content: dict[str, Any]) -> None:
    box = content["annotations"][0]
    content["annotations"].insert(0, {**box, "image_id": 99, "id": 99})
    content["annotations"].append({**box, "category_id": 77})


CHANGES: list[tuple[str, Change]] = [
    ("as it is", lambda content: None),
    ("boxes from 0", each("annotations", lambda e, i: e.update(id=i))),
    ("one id for all boxes", each("annotations", lambda e, i: e.update(id=5))),
    ("boxes from 0 in each image", per_image),
    ("boxes without ids", each("annotations", lambda e, i: e.pop("id"))),
    ("no id at all", each("annotations", lambda e, i: e.update(id=None))),
    ("names for ids", each("annotations", lambda e, i: e.update(id=f"box-{i}"))),
    ("negative ids", each("annotations", lambda e, i: e.update(id=-i))),
    ("no area", each("annotations", lambda e, i: e.pop("area"))),
    ("area null", each("annotations", lambda e, i: e.update(area=None))),
    ("area 0", each("annotations", lambda e, i: e.update(area=0))),
    ("area negative", each("annotations", lambda e, i: e.update(area=-1.0))),
    ("ids as text", numbered(str)),
    ("ids as text, padded", numbered("{:012d}".format)),
    ("ids as floats", numbered(float)),
    ("iscrowd where it is 1", each("annotations", lambda e, i: e["iscrowd"] or e.pop("iscrowd"))),
    ("iscrowd null", each("annotations", lambda e, i: e.update(iscrowd=e["iscrowd"] or None))),
    ("iscrowd boolean", each("annotations", lambda e, i: e.update(iscrowd=bool(e["iscrowd"])))),
    ("iscrowd float", each("annotations", lambda e, i: e.update(iscrowd=float(e["iscrowd"])))),
    ("iscrowd text", each("annotations", lambda e, i: e.update(iscrowd=str(e["iscrowd"])))),
    ("iscrowd words", each("annotations", lambda e, i: e.update(iscrowd=str(bool(e["iscrowd"]))))),
    ("no sizes", each("images", lambda e, i: (e.pop("width"), e.pop("height")))),
    ("folders", each("images", lambda e, i: e.update(file_name=f"{i}/same.jpg"))),
    ("an image twice", lambda content: content["images"].append(content["images"][0])),
    ("a class twice", lambda content: content["categories"].append(content["categories"][0])),
    ("two classes of a name", two_of_a_name),
    ("other spelling", each("categories", underscored)),
    ("an unused class", lambda content: content["categories"].append({"id": 0, "name": "animals"})),
    ("boxes of nothing listed", stray),
    ("more besides", each("annotations", lambda e, i: e.update(segmentation=[], ignore=1))),
]  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Change], Path]:
    def written(change: Change) -> Path:
        content = control()
        change(content)
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(content))
        return path

    return written


@pytest.mark.parametrize("change", [c for _, c in CHANGES], ids=[name for name, _ in CHANGES])
def test_figures_are_those_of_the_control(write: Callable[[Change], Path], change: Change) -> None:
    expected = by_pycocotools(control())
    assert 20 < expected[0] < 90 and min(expected) >= 0, "a control that could not fail"
    path = write(change)
    images = CocoSet.load(path.parent, path, CLASSES)
    names = {c["id"]: c["name"] for c in images.coco.dataset["categories"]}
    found = path.parent / "found.json"
    found.write_text(json.dumps(detections()))
    results = read_results(found, images.image_ids, names).detections
    figures = score(images, results, CLASSES).figures
    assert [figures[name] for name in FIGURES] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("change", [c for _, c in CHANGES], ids=[name for name, _ in CHANGES])
def test_training_has_the_boxes_of_the_control(
    write: Callable[[Change], Path], change: Change
) -> None:
    path = write(change)
    if change is stray:
        with pytest.raises(KitError, match="category 77 of a box is not listed"):
            read_pictures(path.parent, path, CLASSES)
        return
    pictures = read_pictures(path.parent, path, CLASSES)
    assert len(pictures) == 4
    for number, picture in enumerate(pictures, start=1):
        rows = [
            [x, y, x + w, y + h, {7: 0, 3: 1, 9: 2}[box["category_id"]]]
            for box in control()["annotations"]
            if box["image_id"] == number and not box["iscrowd"]
            for x, y, w, h in [box["bbox"]]
        ]
        assert np.column_stack([picture.xyxy, picture.class_id]).tolist() == rows


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    content = control()
    content["images"][0]["file_name"] = "größe 大.jpg"
    path = tmp_path / "annotations.json"
    path.write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    assert read_annotations(path)["images"][0] == {"id": 3, "file_name": "größe 大.jpg"}
    path.write_bytes(json.dumps(detections()).encode(encoding))
    assert len(read_results(path, range(1, 5), {7: "cat", 3: "dog", 9: "x"}).detections) == len(
        detections()
    )


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.write_bytes(b'{"images": "gr\xf6\xdfe"}')
    with pytest.raises(KitError, match=r"annotations.json: not a COCO annotation file \('utf-8'"):
        read_annotations(path)


@pytest.mark.parametrize("kind", [int, str, float, "{:05d}".format])
def test_ids_of_results_are_read_alike(tmp_path: Path, kind: Callable[[int], Any]) -> None:
    """What other tools add is left behind: COCO's takes a `caption` for another task."""
    changed = [
        {**d, "image_id": kind(d["image_id"]), "category_id": kind(d["category_id"]), "id": 0,
         "caption": "a cat"}
        for d in detections()
    ]  # fmt: skip
    path = tmp_path / "results.json"
    path.write_text(json.dumps(changed))
    found = read_results(path, range(1, 5), {7: "cat", 3: "dog", 9: "traffic light"})
    assert found == Found(detections())


def test_results_of_classes_with_one_name(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(
        json.dumps([{"image_id": 1, "category_id": 40, "bbox": [0, 0, 1, 1], "score": 1}])
    )
    (found,) = read_results(path, (1,), {3: "dog", 40: "Dog"}).detections
    assert found["category_id"] == 3
