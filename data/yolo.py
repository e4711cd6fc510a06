"""Reads YOLO's text, a file for each picture, with the `data.yaml` that names classes and folders.

A line is a class and a box's centre and sides, or a polygon, in shares of the picture. Labels lie
in the folder `labels` beside `images`, or beside the pictures. A picture without labels is empty.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.pictures import is_picture, size_of
from runtime.errors import KitError
from runtime.yaml_file import read_yaml

_CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_CLASSES = "classes.txt"  # Of LabelImg.
_BOX_NUMBERS = 5
_DECIMALS = 2  # Of pixels, so that whole ones come back from shares of six digits.
_SPLITS = ("val", "test", "train")


def config_of(path: Path) -> Path | None:
    """The file that names the classes: `path` itself, or one in it or in two folders above."""
    if path.is_file():
        return path
    folders = (path, *path.resolve().parents[:2])
    candidates = (folder / name for folder in folders for name in (*_CONFIGS, _CLASSES))
    return next((file for file in candidates if file.is_file()), None)


def splits(config: Path) -> dict[str, Path]:
    """The folders of pictures that a `data.yaml` names, by `train`, `val` and `test`."""
    content = read_yaml(config)
    if not isinstance(content, dict):
        return {}
    base = config.parent / str(content.get("path") or "")
    found = {}
    for name in _SPLITS:
        value = content.get(name)
        if value is not None and not isinstance(value, str):
            raise KitError(f"{config}: `{name}` is no folder; give one folder of pictures")
        if value:
            # Roboflow writes `../train/images` for what lies beside the file.
            candidates = (base / value, config.parent / value.removeprefix("../"))
            found[name] = next((c for c in candidates if c.is_dir()), candidates[0])
    return found


def labels_of(image: Path) -> Path:
    """Where a picture's labels are."""
    parts = list(image.parts[:-1])
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        beside = Path(*parts[:last], "labels", *parts[last + 1 :], f"{image.stem}.txt")
        if beside.parent.is_dir():
            return beside
    return image.with_suffix(".txt")


def pictures(path: Path, images: Path | None) -> tuple[Path, list[Path]]:
    """The folder of the pictures that `path`, a `data.yaml` or a folder of labels, speaks of, and
    all in it, by name. images: that folder, if it is known."""
    folder = images or path
    if images is None and path.is_file():
        named = splits(path)
        if not named:
            raise ValueError("it names no folder of pictures as train, val or test")
        folder = named[next(name for name in _SPLITS if name in named)]
    elif images is None and "labels" in path.parts:
        last = len(path.parts) - 1 - path.parts[::-1].index("labels")
        folder = Path(*path.parts[:last], "images", *path.parts[last + 1 :])
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    return folder, sorted(p for p in folder.rglob("*") if is_picture(p))


def read(path: Path, images: Path | None) -> dict[str, Any]:
    """`images`, `categories` and `annotations` as COCO has them, numbered from 1 by name.

    A box that is none has its `fault` in words. Raises `ValueError` naming what else is wrong,
    `KitError` for a picture that is none.
    """
    names = _names(path)
    folder, found = pictures(path, images)
    boxes = [
        {"image_id": number, **box}
        for number, picture in enumerate(found, 1)
        for box in _boxes(picture, len(names))
    ]
    return {
        "images": [
            {"id": i, "file_name": p.relative_to(folder).as_posix()} for i, p in enumerate(found, 1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names, 1)],
        "annotations": boxes,
    }


def _names(path: Path) -> list[str]:
    config = config_of(path)
    if config is None:
        raise ValueError(f"no {_CONFIGS[0]} or {_CLASSES} in it or above names the classes")
    if config.name == _CLASSES:
        return config.read_text(encoding="utf-8").strip().splitlines()
    content = read_yaml(config, names="names")
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise ValueError("`names` are not numbered from 0")
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError("`names` must list the classes")
    return [str(name) for name in names]


def _boxes(picture: Path, classes: int) -> list[dict[str, Any]]:
    """Those of a picture."""
    path = labels_of(picture)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    size = size_of(picture) if rows else (0, 0)
    boxes: list[dict[str, Any]] = []
    for number, words in rows:
        try:
            class_id, values = _numbers(words)
            if not 0 <= class_id < classes:
                raise ValueError(f"class {class_id}, but {classes} are named")
            if len(words) < _BOX_NUMBERS or len(words) % 2 == 0:
                raise ValueError(f"{len(values)} numbers are neither box nor polygon")
        except ValueError as error:
            boxes.append({"fault": f"{path.name}, line {number}: {error}"})
        else:
            box = [round(v, _DECIMALS) + 0.0 for v in _box(values, *size)]  # No -0.0.
            boxes.append({"category_id": class_id + 1, "bbox": box})
    return boxes


def _numbers(words: list[str]) -> tuple[int, list[float]]:
    """Class, and the numbers behind it."""
    try:
        return int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        raise ValueError(f"`{' '.join(words):.40}` is no class with numbers") from None


def _box(values: list[float], width: int, height: int) -> list[float]:
    """x, y, width, height in pixels."""
    if len(values) == _BOX_NUMBERS - 1:
        x, y, w, h = values
        return [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
    xs, ys = values[::2], values[1::2]
    left, top = min(xs), min(ys)
    return [left * width, top * height, (max(xs) - left) * width, (max(ys) - top) * height]
