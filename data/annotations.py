"""Reads annotations of COCO, Pascal VOC and YOLO, and COCO's results; believes nothing in them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import voc, yolo
from runtime.errors import KitError

# Of the kit's own sets, and of Roboflow's.
COCO_FILES = ("annotations.json", "_annotations.coco.json")
# Detections in COCO's result format.
Results = list[dict[str, Any]]


@dataclass(frozen=True)
class AnnotatedImages:
    """Annotations, see `read_annotations`, and the folder of their images. limit: only the first so
    many by id."""

    folder: Path
    path: Path
    limit: int | None = None

    def files(self) -> list[Path]:
        """All that is read of it: the annotations, then the images."""
        listed = read_annotations(self.path, self.folder)["images"]
        images = sorted(listed, key=lambda image: image["id"])[: self.limit]
        paths = [self.folder / image["file_name"] for image in images]
        return [*self._annotation_files(paths), *paths]

    def _annotation_files(self, images: Sequence[Path]) -> list[Path]:
        path = _file(self.path)
        kind = _format(path)
        if kind == "Pascal VOC":
            return voc.files(path)
        if kind == "COCO":
            return [path]
        named = [yolo.config_of(path), *map(yolo.labels_of, images)]
        return [path for path in named if path is not None and path.is_file()]


def read_annotations(
    path: Path, images: Path | None = None, broken: list[str] | None = None
) -> dict[str, Any]:
    """`images`, `categories` and `annotations` of a set, as COCO's tool needs them.

    path: a COCO annotation file, or its folder; a folder of Pascal VOC's XML, or a list of its
    `ImageSets`; a `data.yaml` of YOLO, or a folder of its labels. images: the folder of the
    pictures, which YOLO needs for their sizes; else it is looked for. broken: takes what is wrong
    with boxes that are none, which are then left out.

    Every `id` is a whole number. Boxes are numbered from 1, whatever their own `id`, for COCO's
    tool takes a match with box 0 for none, and keeps one box of each `id`. Those of images that
    are not listed are left out. A missing or empty `area` is the box's, a missing `iscrowd` is 0.
    Of categories with one name, boxes have the first. Raises `KitError` naming what is wrong.
    """
    path = _file(path)
    kind = f"{_format(path)} annotation"
    with _named(path, kind):
        content = _read(path, images)
        pictures = _listed(content, "images", "file_name")
        categories = _listed(content, "categories", "name")
        first = same_categories(categories)
        boxes = []
        for entry in content.get("annotations", []):
            try:
                boxes.append(_box(entry, first))
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                if broken is None:
                    raise
                broken.append(str(error))
    kept = [box for box in boxes if box["image_id"] in pictures]
    return {
        "images": [{"id": i, "file_name": name} for i, name in pictures.items()],
        "categories": [{"id": i, "name": name} for i, name in categories.items()],
        "annotations": [{"id": i, **box} for i, box in enumerate(kept, start=1)],
    }


@dataclass(frozen=True)
class Found:
    """Detections, and on which images and for which classes they were looked for, where that is
    known: COCO's result format has the detections alone."""

    detections: Results
    images: tuple[int, ...] | None = None
    classes: tuple[str, ...] | None = None

    def to_json(self) -> str:
        """What `read_results` reads."""
        return json.dumps(dataclasses.asdict(self)) + "\n"


def read_results(path: Path, images: Container[int], categories: Mapping[int, str]) -> Found:
    """`Found`, or COCO results: detections, each with a box of four finite numbers and a score.

    images: `id`s that a detection may name. categories: names by `id`, as `read_annotations` has
    them; see there for those with one name. Raises `KitError` naming what is wrong.
    """
    first = same_categories(categories)
    with _named(path, "COCO result"):
        content = _read_json(path)
        if isinstance(content, list):
            return Found([_detection(entry, images, first) for entry in content])
        if not isinstance(content, dict) or not isinstance(content.get("detections"), list):
            raise ValueError("no list of detections")
        names = {plain(name) for name in categories.values()}
        numbers = tuple(sorted({_whole(image) for image in content["images"]}))
        missing = [f"image {image}" for image in numbers if image not in images]
        missing += [f"class {name}" for name in content["classes"] if plain(name) not in names]
        if missing:
            raise ValueError(f"no {missing[0]} is annotated")
        found = [_detection(entry, numbers, first) for entry in content["detections"]]
        return Found(found, numbers, tuple(content["classes"]))


def same_categories(names: Mapping[int, str]) -> dict[int, int]:
    """`id` of each category -> `id` of the first with that name. names: by `id`."""
    first: dict[str, int] = {}
    return {i: first.setdefault(plain(name), i) for i, name in names.items()}


def plain(name: str) -> str:
    """`Traffic_Light` and `traffic light` are one class; upstream's configurations underscore."""
    return name.replace("_", " ").strip().lower()


def _file(path: Path) -> Path:
    """`path`, or COCO's annotations in that folder."""
    inside = (path / name for name in COCO_FILES)
    return next((file for file in inside if file.is_file()), path)


def _format(path: Path) -> str:
    """Whose annotations these are."""
    if path.suffix in (".yaml", ".yml"):
        return "YOLO"
    if path.is_dir():
        return "YOLO" if not any(path.glob("*.xml")) else "Pascal VOC"
    return "Pascal VOC" if path.suffix == ".txt" else "COCO"


def _read(path: Path, images: Path | None) -> Any:
    kind = _format(path)
    if kind == "COCO":
        return _read_json(path)
    return voc.read(path, images) if kind == "Pascal VOC" else yolo.read(path, images)


def _read_json(path: Path) -> Any:
    # UTF-8, -16 or -32, with a byte order mark or without.
    return json.loads(path.read_bytes())


@contextlib.contextmanager
def _named(path: Path, kind: str) -> Iterator[None]:
    """Errors in reading become `KitError`s that name the file."""
    try:
        yield
    except OSError as error:
        raise KitError(f"{path}: {error.strerror}") from None
    except RecursionError:
        raise KitError(f"{path}: not a {kind} file (nested too deeply)") from None
    except KeyError as error:
        raise KitError(f"{path}: not a {kind} file (no {error})") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise KitError(f"{path}: not a {kind} file ({error})") from None


def _listed(content: Any, part: str, name: str) -> dict[int, str]:
    """Names of images or categories by `id`; an entry may be repeated."""
    found: dict[int, str] = {}
    for entry in content[part]:
        number, text = _whole(entry["id"]), entry[name]
        if not isinstance(text, str):
            raise ValueError(f"`{name}` of {part} must be text")
        if found.setdefault(number, text) != text:
            raise ValueError(f"{part} `{found[number]}` and `{text}` share the `id` {number}")
    return found


def _box(entry: Any, first: Mapping[int, int]) -> dict[str, Any]:
    """One annotation. first: see `same_categories`. Other formats' readers name a `fault`."""
    if isinstance(entry, dict) and "fault" in entry:
        raise ValueError(entry["fault"])
    category = _whole(entry["category_id"])
    left, top, width, height = (_finite(value) for value in entry["bbox"])
    if width < 0 or height < 0:
        raise ValueError(f"the box {entry['bbox']} has a negative width or height")
    area = entry.get("area")
    return {
        "image_id": _whole(entry["image_id"]),
        "category_id": first.get(category, category),
        "bbox": [left, top, width, height],
        "area": width * height if area is None or _finite(area) <= 0 else area,
        "iscrowd": _flag(entry.get("iscrowd")),
    }


def _detection(entry: Any, images: Container[int], first: Mapping[int, int]) -> dict[str, Any]:
    left, top, width, height = (_finite(value) for value in entry["bbox"])
    score, image = _finite(entry["score"]), _whole(entry["image_id"])
    if image not in images:
        raise ValueError(f"no image {image} is annotated")
    if (category := _whole(entry["category_id"])) not in first:
        raise ValueError(f"no category {category} is annotated")
    return {
        "image_id": image,
        "category_id": first[category],
        "bbox": [left, top, width, height],
        "score": score,
    }


def _whole(value: Any) -> int:
    """An `id`: 7, 7.0 or "7"; the last two come from tables."""
    digits = isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit()
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
    if not (digits or number) or abs(int(value)) >= 1 << 63:
        raise ValueError(f"the `id` {value!r:.40} is no whole number")
    return int(value)


def _flag(value: Any) -> int:
    """`iscrowd`: also as text or missing."""
    known = {None: 0, "": 0, "0": 0, "false": 0, "1": 1, "true": 1, 0: 0, 1: 1}
    found = known.get(value.strip().lower() if isinstance(value, str) else value)
    if found is None:
        raise ValueError(f"`iscrowd` is {value!r:.40}, neither 0 nor 1")
    return found


def _finite(value: Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) >= 1 << 63:
        raise ValueError(f"{value!r:.40} is no number; a box, area or score must be one")
    return value
