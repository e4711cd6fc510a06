"""The manifest of calibration photographs, their check, and the representative dataset."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.errors import KitError
from runtime.image import list_images, load_rgb
from runtime.preprocess import to_canvas
from runtime.spec import InputSpec

MANIFEST = Path(__file__).parent / "manifest.csv"
IMAGES, LEAST_IMAGES = 100, 10


@dataclass(frozen=True)
class ManifestEntry:
    """One COCO train2017 photograph: id, where it is, and what its bytes must be."""

    image_id: int
    url: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file in COCO's own layout."""
        return f"{self.image_id:012d}.jpg"


def manifest() -> list[ManifestEntry]:
    """The 100 photographs, by rising id."""
    with MANIFEST.open(newline="", encoding="utf-8") as file:
        return [
            ManifestEntry(int(row["image_id"]), row["url"], int(row["size_bytes"]), row["sha256"])
            for row in csv.DictReader(file)
        ]


def verified(folder: Path) -> list[Path]:
    """Paths of the manifest's photographs in `folder`.

    Raises `KitError` when some are missing (says how many are there) or one is not the file that
    the manifest lists.
    """
    entries = manifest()
    paths = [folder / entry.file_name for entry in entries]
    present = [path for path in paths if path.is_file()]
    if len(present) < len(paths):
        raise KitError(
            f"{folder}: {len(present)} of the {len(paths)} calibration images are there; "
            "complete the folder or remove it to download them again"
        )
    for entry, path in zip(entries, paths):
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
            raise KitError(
                f"{path}: not the image that calibration/manifest.csv lists (SHA-256 differs); "
                "delete it and fetch it again"
            )
    return paths


def own_images(folder: Path) -> list[Path]:
    """100 images of a user's folder, spread over it by name, each decoded once to check it.

    All of them, with a warning on stderr, where there are fewer. Raises `KitError` when there are
    fewer than 10, or one is damaged.
    """
    paths = list_images(folder)
    enough(len(paths), str(folder), "images")
    chosen = [paths[i] for i in spread(len(paths))]
    for path in chosen:
        load_rgb(path)
    return chosen


def enough(count: int, source: str, what: str) -> None:
    """Raises `KitError` where too few pictures are there to calibrate with; warns where few are."""
    if count < LEAST_IMAGES:
        raise KitError(
            f"{source}: {count} {what}, calibration needs {LEAST_IMAGES}, better {IMAGES}"
        )
    if count < IMAGES:
        print(f"{source}: {count} {what}; with {IMAGES} the int8 ranges are surer", file=sys.stderr)


def spread(count: int) -> list[int]:
    """Numbers of at most 100 of so many pictures, evenly spread from the first on."""
    chosen = min(count, IMAGES)
    return [i * count // chosen for i in range(chosen)]


class Canvases(Sequence[np.ndarray]):
    """The same as `canvases` gives, each read when it is asked for."""

    def __init__(self, paths: Sequence[Path], spec: InputSpec) -> None:
        self._paths, self._spec = paths, spec

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, place: int) -> np.ndarray:  # type: ignore[override]
        return next(canvases([self._paths[place]], self._spec))


def canvases(paths: Sequence[Path], spec: InputSpec) -> Iterator[np.ndarray]:
    """Each image as the network will see it: uint8 (H, W, 3), see `runtime.preprocess`.

    Raises `KitError` naming an image that cannot be decoded.
    """
    for path in paths:
        yield to_canvas(load_rgb(path), spec)[0]
