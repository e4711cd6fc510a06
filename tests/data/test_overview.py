"""`./nanodet data` says what is there and what is wrong, and draws some of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import NANODET, run_here
from tests.data.test_sets import coco, roboflow_coco


def add(box: list[float], category: int = 0) -> Callable[[dict[str, Any], Path], None]:
    """A further box in the first picture."""

    def change(content: dict[str, Any], _: Path) -> None:
        entry = {"id": 99, "image_id": 1, "category_id": category, "bbox": box}
        content["annotations"].append(entry)

    return change


def test_what_is_there(tmp_path: Path) -> None:
    roboflow_coco(tmp_path / "set")
    done = run_here(tmp_path, NANODET, "data", "set", "--sheet", "sheet.png")
    assert done.returncode == 0, done.stderr
    for line in (
        "train:", "val:", "3 pictures, 3 boxes, 3 classes", "pictures of 64x80 to 120x100 pixels",
        "boxes: 33% below 32 pixels, 33% above 96, median 50", "cat                 1",
        "1 pictures without boxes", "train and val share 3 pictures: set/train/a.jpg;",
    ):  # fmt: skip
        assert line in done.stdout, line
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (1280, 1280)
        cells = {sheet.getpixel((320 * i + 160, 60)) for i in range(3)}
        assert (0, 0, 0) not in cells and sheet.getpixel((1200, 100)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (add([1, 1, 9, -9]), "1 broken boxes: the box [1, 1, 9, -9] has a negative width"),
        (add([1, 1, 9, 9], 7), "1 broken boxes: category 7 of a box is not listed"),
        (add([1, 1, 0.5, 9]), "1 boxes below one pixel, left out"),
        (add([100, 1, 30, 9]), "1 boxes that leave their picture"),
        (
            lambda content, _: content["categories"].append({"id": 9, "name": "owl"}),
            "1 classes without boxes",
        ),
        (
            lambda _, images: (images / "b.jpg").write_text("page"),
            "1 pictures missing or damaged: set/images/b.jpg",
        ),
        (
            lambda _, images: shutil.copy(images / "a.jpg", images / "c.jpg"),
            "1 pictures with the same bytes as another one",
        ),
    ],
)
def test_what_is_wrong(
    tmp_path: Path, change: Callable[[dict[str, Any], Path], None], line: str
) -> None:
    root = tmp_path / "set"
    coco(root, "annotations.json", root / "images")
    content = json.loads((root / "annotations.json").read_text())
    command = (NANODET, "data", "set", "--sheet", "sheet.png")
    assert line not in run_here(tmp_path, *command).stdout
    change(content, root / "images")
    (root / "annotations.json").write_text(json.dumps(content))
    done = run_here(tmp_path, *command)
    assert done.returncode == 0 and line in done.stdout, done.stdout + done.stderr


def test_a_set_that_is_none(tmp_path: Path) -> None:
    done = run_here(tmp_path, NANODET, "data", "nowhere")
    assert done.returncode == 2 and "nowhere: no annotated pictures found" in done.stderr
    assert not (tmp_path / "runs").exists()
