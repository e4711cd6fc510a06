"""Reads COCO annotation and result files and believes nothing in them."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import KitError

# Detections in COCO's result format.
Results = list[dict[str, Any]]


@dataclass(frozen=True)
class AnnotatedImages:
    """A COCO annotation file and the folder of its images. limit: only the first so many by id."""

    folder: Path
    path: Path
    limit: int | None = None

    def files(self) -> list[Path]:
        """All that is read of it: the annotations, then the images."""
        images = sorted(read_annotations(self.path)["images"], key=lambda image: image["id"])
        return [self.path, *(self.folder / image["file_name"] for image in images[: self.limit])]


def read_annotations(path: Path) -> dict[str, Any]:
    """A COCO annotation file's `images`, `categories` and `annotations`, as COCO's tool needs them.

    Every `id` is a whole number. Boxes are numbered from 1, whatever their own `id`, for COCO's
    tool takes a match with box 0 for none, and keeps one box of each `id`. Those of images that
    are not listed are left out. A missing or empty `area` is the box's, a missing `iscrowd` is 0.
    Of categories with one name, boxes have the first. Raises `KitError` naming what is wrong.
    """
    content = _read(path, "annotation")
    with _named(path, "annotation"):
        images = _listed(content, "images", "file_name")
        categories = _listed(content, "categories", "name")
        first = same_categories(categories)
        boxes = [_box(entry, first) for entry in content.get("annotations", [])]
    kept = [box for box in boxes if box["image_id"] in images]
    return {
        "images": [{"id": i, "file_name": name} for i, name in images.items()],
        "categories": [{"id": i, "name": name} for i, name in categories.items()],
        "annotations": [{"id": i, **box} for i, box in enumerate(kept, start=1)],
    }


def read_results(path: Path, images: Container[int], categories: Mapping[int, str]) -> Results:
    """COCO results: detections, each with a box of four finite numbers and a score.

    images: `id`s that a detection may name. categories: names by `id`, as `read_annotations` has
    them; see there for those with one name. Raises `KitError` naming what is wrong.
    """
    content = _read(path, "result")
    first = same_categories(categories)
    with _named(path, "result"):
        if not isinstance(content, list):
            raise ValueError("no list of detections")
        return [_detection(entry, images, first) for entry in content]


def same_categories(names: Mapping[int, str]) -> dict[int, int]:
    """`id` of each category -> `id` of the first with that name. names: by `id`."""
    first: dict[str, int] = {}
    return {i: first.setdefault(plain(name), i) for i, name in names.items()}


def plain(name: str) -> str:
    """`Traffic_Light` and `traffic light` are one class; upstream's configurations underscore."""
    return name.replace("_", " ").strip().lower()


def _read(path: Path, kind: str) -> Any:
    with _named(path, kind):
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
        raise KitError(f"{path}: not a COCO {kind} file (nested too deeply)") from None
    except KeyError as error:
        raise KitError(f"{path}: not a COCO {kind} file (no {error})") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise KitError(f"{path}: not a COCO {kind} file ({error})") from None


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
    """One annotation. first: see `same_categories`."""
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
