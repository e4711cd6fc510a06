"""Data sets as tools lay them out: which annotations and pictures are for training and validation.

Known are the kit's own layout, COCO's, Pascal VOC's, YOLO's, and Roboflow's exports of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data import yolo
from data.annotations import COCO_FILES, AnnotatedImages
from runtime.errors import KitError

_ALIASES = {
    "train": ("train", "trainval"),
    "val": ("val", "valid", "validation"),
    "test": ("test",),
}
ROBOFLOW_JSON = "_annotations.coco.json"


def find_sets(root: Path) -> dict[str, AnnotatedImages]:
    """The sets in a folder, or those that a `data.yaml` or an annotation file names, by `train`,
    `val` and `test`. What has no name of its own is `train`.

    Raises `KitError` where there is none.
    """
    found: dict[str, AnnotatedImages] = {}
    for name, path, images in _candidates(root):
        found.setdefault(name, AnnotatedImages(images, path))
    if not found:
        raise KitError(
            f"{root}: no annotated pictures found; known are annotations.json with images/, a "
            "data.yaml of YOLO, Annotations/ of Pascal VOC, and the exports of Roboflow"
        )
    return found


def _candidates(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name, annotations and pictures of what might be a set."""
    config = root if root.is_file() else next(iter(sorted(root.glob("data.y*ml"))), None)
    if config is not None and config.suffix in (".yaml", ".yml"):
        for name, images in yolo.splits(config).items():
            yield name, config, images
        return
    if root.is_file():
        yield "train", root, _beside(root.parent)
        return
    for name, aliases in _ALIASES.items():
        for alias in aliases:
            for path in _alone(root / alias):
                yield name, path, _beside(root / alias)
            yield from _of_coco(root, name, alias)
            listed = root / "ImageSets" / "Main" / f"{alias}.txt"
            if listed.is_file():
                yield name, listed, root / "JPEGImages"
    for path in _alone(root):
        yield "train", path, _beside(root)


def _alone(folder: Path) -> Iterator[Path]:
    """Annotations of one set, in its folder."""
    yield from (folder / name for name in COCO_FILES if (folder / name).is_file())
    for inner in (folder / "Annotations", folder):
        if any(inner.glob("*.xml")):
            yield inner


def _beside(folder: Path) -> Path:
    """Where the pictures of annotations in `folder` are."""
    known = (folder / name for name in ("images", "JPEGImages"))
    return next((inner for inner in known if inner.is_dir()), folder)


def _of_coco(root: Path, name: str, alias: str) -> Iterator[tuple[str, Path, Path]]:
    """`annotations/instances_train2017.json` with `train2017/` or `images/train2017/`."""
    for path in sorted((root / "annotations").glob(f"instances_{alias}*.json")):
        split = path.stem.removeprefix("instances_")
        folders = (root / split, root / "images" / split, root / "images")
        yield name, path, next((f for f in folders if f.is_dir()), folders[0])
