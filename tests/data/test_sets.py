"""One set in every form that tools write gives the same boxes, and hostile files give one line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from data.annotations import AnnotatedImages, read_annotations
from data.pictures import size_of
from data.sets import find_sets
from runtime.errors import KitError
from tests.robustness import mutate
from train.data import read_pictures

NAMES = ["cat", "dog", "traffic light"]
SIZES = {"a": (120, 80), "b": (64, 96), "c": (100, 100)}
# Picture -> class and corners, whole pixels; `c` has none.
BOXES = {
    "a": [(0, (10, 20, 60, 70)), (2, (0, 0, 120, 80))],
    "b": [(1, (5, 6, 15, 90))],
    "c": [],
}


def picture(folder: Path, stem: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    width, height = SIZES[stem]
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(folder / f"{stem}.jpg")


def coco(folder: Path, name: str, images: Path) -> None:
    """`name` in `folder`, pictures in `images`."""
    boxes = [
        {
            "id": i,
            "image_id": list(SIZES).index(stem) + 1,
            "category_id": c,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
        }
        for i, (stem, c, (x0, y0, x1, y1)) in enumerate(
            (stem, c, box) for stem, found in BOXES.items() for c, box in found
        )
    ]
    content = {
        "images": [{"id": i, "file_name": f"{s}.jpg"} for i, s in enumerate(SIZES, 1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES)],
        "annotations": boxes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    for stem in SIZES:
        picture(images, stem)


def xml(stem: str) -> str:
    objects = "".join(
        f"<object><name>{NAMES[c]}</name><difficult>0</difficult><bndbox><xmin>{x0}</xmin>"
        f"<ymin>{y0}</ymin><xmax>{x1}.0</xmax><ymax>{y1}</ymax></bndbox></object>"
        for c, (x0, y0, x1, y1) in BOXES[stem]
    )
    return f"<annotation><filename>{stem}.jpg</filename>{objects}</annotation>"


def voc(annotations: Path, images: Path) -> None:
    annotations.mkdir(parents=True, exist_ok=True)
    for stem in SIZES:
        (annotations / f"{stem}.xml").write_text(xml(stem))
        picture(images, stem)


def yolo(labels: Path, images: Path, polygon: bool = False) -> None:
    """Shares with six digits, as tools write them; `c` has no file."""
    labels.mkdir(parents=True, exist_ok=True)
    for stem, (width, height) in SIZES.items():
        rows = []
        for c, (x0, y0, x1, y1) in BOXES[stem]:
            if polygon:
                points = [(x0, y0), (x1, y0), ((x0 + x1) / 2, y1)]
                rows.append([c, *(v for x, y in points for v in (x / width, y / height))])
            else:
                middle = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
                rows.append([c, *middle, (x1 - x0) / width, (y1 - y0) / height])
        if rows:
            lines = (" ".join(f"{v:.6f}".removesuffix(".000000") for v in row) for row in rows)
            (labels / f"{stem}.txt").write_text("\n".join(lines) + "\n")
        picture(images, stem)


def config(file: Path, **more: Any) -> None:
    file.write_text(yaml.safe_dump({"nc": 3, "names": NAMES, **more}))


def kit(root: Path) -> None:
    coco(root, "annotations.json", root / "images")


def official(root: Path) -> None:
    for split in ("train2017", "val2017"):
        coco(root / "annotations", f"instances_{split}.json", root / split)


def pascal(root: Path) -> None:
    voc(root / "Annotations", root / "JPEGImages")


def pascal_sets(root: Path) -> None:
    pascal(root)
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a  1\nb -1\nc\n")
    (lists / "val.txt").write_text("a\nb\nc\n")


def ultralytics(root: Path) -> None:
    for split in ("train", "val"):
        yolo(root / "labels" / split, root / "images" / split)
    config(root / "data.yaml", path=str(root), train="images/train", val="images/val")


def roboflow_yolo(root: Path) -> None:
    for split in ("train", "valid"):
        yolo(root / split / "labels", root / split / "images", polygon=True)
    config(root / "data.yaml", train="../train/images", val="../valid/images")


def roboflow_coco(root: Path) -> None:
    for split in ("train", "valid"):
        coco(root / split, "_annotations.coco.json", root / split)


def roboflow_voc(root: Path) -> None:
    for split in ("train", "valid"):
        voc(root / split, root / split)


LAYOUTS: list[tuple[Callable[[Path], None], bool]] = [
    (kit, False), (official, True), (pascal, False), (pascal_sets, True), (ultralytics, True),
    (roboflow_yolo, True), (roboflow_coco, True), (roboflow_voc, True),
]  # fmt: skip


@pytest.mark.parametrize(("write", "validated"), LAYOUTS, ids=lambda v: getattr(v, "__name__", ""))
def test_every_layout_gives_the_same_boxes(
    tmp_path: Path, write: Callable[[Path], None], validated: bool
) -> None:
    write(tmp_path)
    found = find_sets(tmp_path)
    assert sorted(found) == (["train", "val"] if validated else ["train"])
    for images in found.values():
        pictures = read_pictures(images.folder, images.path, NAMES)
        assert [p.path.stem for p in pictures] == list(SIZES)
        for each in pictures:
            assert each.path.is_file()
            expected = BOXES[each.path.stem]
            assert each.class_id.tolist() == [c for c, _ in expected]
            corners = np.array([box for _, box in expected], float).reshape(-1, 4)
            np.testing.assert_array_equal(each.xyxy, corners)
        read = {path.name for path in images.files()}
        assert {f"{stem}.jpg" for stem in SIZES} < read, "and the annotations"
        assert all(path.is_file() for path in images.files())


@pytest.mark.parametrize("form", ["folder", "yaml", "labels"])
def test_annotations_without_their_pictures_folder(tmp_path: Path, form: str) -> None:
    """`compare` asks for annotations alone."""
    if form == "folder":
        roboflow_coco(tmp_path)
        path = tmp_path / "valid"
    else:
        ultralytics(tmp_path)
        path = tmp_path / ("data.yaml" if form == "yaml" else "labels/val")
    content = read_annotations(path)
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.jpg", "c.jpg"]
    assert len(content["annotations"]) == 3


def test_a_picture_on_its_side_has_its_upright_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    assert size_of(tmp_path / "a.jpg") == (40, 60)


def test_a_picture_of_another_name_is_found(tmp_path: Path) -> None:
    picture(tmp_path, "a")
    text = xml("a").replace("a.jpg", "IMG_0001.JPG")
    (tmp_path / "a.xml").write_text(text)
    (image,) = read_annotations(tmp_path, tmp_path)["images"]
    assert image["file_name"] == "a.jpg"


@pytest.mark.parametrize("name", ["../../etc/passwd", r"C:\photos\a.jpg", "/etc/passwd"])
def test_a_picture_lies_in_its_folder(tmp_path: Path, name: str) -> None:
    """Whatever path the XML writes."""
    (tmp_path / "a.xml").write_text(xml("a").replace("a.jpg", name))
    (image,) = read_annotations(tmp_path, tmp_path)["images"]
    assert image["file_name"] in ("passwd", "a.jpg")


LAUGHS = (
    '<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<annotation><filename>&b;</filename></annotation>"
)


@pytest.mark.parametrize(
    ("content", "message", "reason"),
    [
        (LAUGHS.encode(), "declares a document type", "entities that grow"),
        (LAUGHS.encode("utf-16"), "declares a document type", "in another encoding"),
        (
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>',
            "declares a document type",
            "a foreign file",
        ),
        (b"<annotation>&x;</annotation>", "undefined entity", "an entity that nobody declares"),
        (b"<annotation>", "no element found", "cut off"),
        (b"<html></html>", "a <html>, no <annotation>", "another document"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "unknown encoding", "no text"),
        (b"", "no element found", "empty"),
    ],
)
def test_hostile_xml(tmp_path: Path, content: bytes, message: str, reason: str) -> None:
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(KitError, match=f"not a Pascal VOC annotation file .a.xml.*{message}"):
        read_annotations(tmp_path)


def test_deep_xml(tmp_path: Path) -> None:
    """A hundred thousand elements within each other are read, and hold no box."""
    depth = 100_000
    text = f"<annotation>{'<a>' * depth}{'</a>' * depth}</annotation>"
    (tmp_path / "a.xml").write_text(text)
    assert read_annotations(tmp_path)["annotations"] == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 0.5 0.5 0.1", "a.txt, line 1: 3 numbers are neither box nor polygon"),
        ("0 0.5 0.5 0.1 0.1 0.9", "5 numbers are neither"),
        ("cat 0.5 0.5 0.1 0.1", "`cat 0.5 0.5 0.1 0.1` is no class with"),
        ("3 0.5 0.5 0.1 0.1", "class 3, but 3 are named"),
        ("-1 0.5 0.5 0.1 0.1", "class -1"),
        (f"0 {'9' * 999}x 0.5 0.1 0.1", "line 1: `0 99999"),
        ("0 nan 0.5 0.1 0.1", "nan is no number"),
        ("0 0.5 0.5 -0.1 0.1", "negative width"),
    ],
)
def test_broken_labels(tmp_path: Path, row: str, message: str) -> None:
    ultralytics(tmp_path)
    (tmp_path / "labels/val/a.txt").write_text(f"{row}\n1 0.5 0.5 0.2 0.2\n")
    path, images = tmp_path / "data.yaml", tmp_path / "images/val"
    with pytest.raises(KitError, match=rf"data.yaml: not a YOLO annotation file .*{message}"):
        read_annotations(path, images)
    broken: list[str] = []
    kept = read_annotations(path, images, broken)["annotations"]
    assert len(kept) == 2 and len(broken) == 1 and message in broken[0]


def test_a_box_from_the_border_begins_at_zero(tmp_path: Path) -> None:
    """Shares of eight digits put it a hair beyond; a box has the same bytes in every form."""
    ultralytics(tmp_path)
    (tmp_path / "labels/val/a.txt").write_text("0 0.05 0.5 0.10000001 1\n")
    boxes = read_annotations(tmp_path / "data.yaml", tmp_path / "images/val")["annotations"]
    assert any(box["bbox"] == [0, 0, 12, 80] for box in boxes)
    assert not any(np.signbit(box["bbox"]).any() for box in boxes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"names": []}, "`names` must list"),
        ({"names": {1: "cat"}}, "`names` are not numbered from 0"),
        ({"val": ["a", "b"]}, "`val` is no folder"),
        ({"val": "nowhere"}, "there is no folder"),
    ],
)
def test_broken_data_yaml(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    ultralytics(tmp_path)
    config(tmp_path / "data.yaml", **content)
    with pytest.raises(KitError, match=message):
        read_annotations(tmp_path / "data.yaml")


def test_nothing_to_be_found(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="no annotated pictures found"):
        find_sets(tmp_path)


def test_categories_that_the_model_lacks_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit(tmp_path)
    images = AnnotatedImages(tmp_path / "images", tmp_path / "annotations.json")
    pictures = read_pictures(images.folder, images.path, ["dog"])
    assert [len(p.class_id) for p in pictures] == [0, 1, 0]
    assert "left out: `cat`, `traffic light`" in capsys.readouterr().err


@pytest.mark.parametrize("write", [roboflow_voc, roboflow_yolo], ids=lambda w: w.__name__)
def test_damaged_files_give_one_short_line(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """Bytes of labels and of `data.yaml` are changed, cut and doubled."""
    write(tmp_path)
    pattern = "train/**/a.xml" if write is roboflow_voc else "**/*.[ty][xa]*"
    errors: list[str] = []
    for path in sorted(tmp_path.glob(pattern)):
        sound = path.read_bytes()
        for number in range(150):
            path.write_bytes(mutate.mutate_bytes(sound, random.Random(number)))
            try:
                images = next(iter(find_sets(tmp_path).values()))
                for found in read_pictures(images.folder, images.path, NAMES):
                    assert np.isfinite(found.xyxy).all()
            except KitError as error:
                errors.append(str(error))
        path.write_bytes(sound)
    assert len(errors) > 50 and max(map(len, errors)) < 1000
