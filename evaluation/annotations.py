"""Reads COCO annotation and result files and believes nothing in them."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Container, Iterator, Sequence
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


def read_annotations(path: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """The file's content: whole `id`s, images with names, categories with names, boxes of four
    finite numbers.

    needed: fields of annotations besides, numbers all. Raises `KitError` naming what is wrong.
    """
    content = _read(path, "annotation")
    with _named(path, "annotation"):
        _check(content, needed)
    found: dict[str, Any] = content
    return found


def read_results(path: Path, images: Container[int], categories: Container[int]) -> Results:
    """COCO results: detections, each with a box of four finite numbers and a score.

    images, categories: `id`s that a detection may name. Raises `KitError` naming what is wrong.
    """
    content = _read(path, "result")
    with _named(path, "result"):
        if not isinstance(content, list):
            raise ValueError("no list of detections")
        for detection in content:
            _, _, _, _ = (_finite(value) for value in detection["bbox"])
            _finite(detection["score"])
            if _whole(detection["image_id"]) not in images:
                raise ValueError(f"no image {detection['image_id']} is annotated")
            if _whole(detection["category_id"]) not in categories:
                raise ValueError(f"no category {detection['category_id']} is annotated")
    return content


def _read(path: Path, kind: str) -> Any:
    with _named(path, kind):
        return json.loads(path.read_text(encoding="utf-8"))


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


def _check(content: Any, needed: Sequence[str]) -> None:
    for part, name in (("images", "file_name"), ("categories", "name")):
        ids = set()
        for entry in content[part]:
            ids.add(_whole(entry["id"]))
            if not isinstance(entry[name], str):
                raise ValueError(f"`{name}` of {part} must be text")
        if len(ids) != len(content[part]):
            raise ValueError(f"{part} share an `id`")
    for annotation in content.setdefault("annotations", []):
        _whole(annotation["image_id"])
        _whole(annotation["category_id"])
        _, _, _, _ = (_finite(value) for value in annotation["bbox"])
        for name in needed:
            _finite(annotation[name])
        if annotation.get("iscrowd", 0) not in (0, 1):
            raise ValueError("`iscrowd` is neither 0 nor 1")


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 63:
        raise ValueError("an `id` is no whole number")
    return value


def _finite(value: Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) >= 1 << 63:
        raise ValueError("a box, area, score or flag is no number")
    return value
