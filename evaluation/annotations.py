"""Reads a COCO annotation file and believes nothing in it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.errors import KitError


def read_annotations(path: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """The file's content: whole `id`s, images with names, categories with names, boxes of four
    finite numbers.

    needed: fields of annotations besides, numbers all. Raises `KitError` naming what is wrong.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check(content, needed)
    except OSError as error:
        raise KitError(f"{path}: {error.strerror}") from None
    except RecursionError:
        raise KitError(f"{path}: not a COCO annotation file (nested too deeply)") from None
    except KeyError as error:
        raise KitError(f"{path}: not a COCO annotation file (no {error})") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise KitError(f"{path}: not a COCO annotation file ({error})") from None
    found: dict[str, Any] = content
    return found


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
        raise ValueError("a box, area or flag is no number")
    return value
