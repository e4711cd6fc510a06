"""The generated scenes that the embedded model is calibrated and evaluated on."""

from __future__ import annotations

import hashlib
from pathlib import Path

from data import shapes
from data.shapes.dataset import write_set

_SIDE = 320
# Name -> scenes and number of the first; those from a million on are for training.
_SETS = {"val500": (500, 0), "calibration": (100, 500)}


def scenes(cache: Path, name: str) -> tuple[Path, Path]:
    """Image folder and COCO annotation file of a set, made in `cache` when not there yet."""
    folder = cache / f"shapes-{_version()}" / name
    images, annotations = folder / "images", folder / "annotations.json"
    if not annotations.is_file():  # Written last.
        count, seed = _SETS[name]
        write_set(folder, count, _SIDE, _SIDE, seed)
    return images, annotations


def _version() -> str:
    """Other code makes other scenes."""
    digest = hashlib.sha256()
    for path in sorted(Path(shapes.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
