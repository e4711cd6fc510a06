"""COCO 2017 downloads: photographs one by one, annotations out of their archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from calibration import dataset
from data.download import fetch
from runtime.errors import DataUnavailable, KitError
from runtime.files import writing

ANNOTATIONS_URL = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
ANNOTATIONS_BYTES = 252_907_541
ANNOTATIONS_SHA256 = "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268"
VAL_URL = "http://images.cocodataset.org/val2017/"
_MEMBER = "annotations/instances_val2017.json"
_MEMBER_MOST_BYTES = 64 << 20  # Three times what it has.
_HELP = "Set NANODET_DATA to a folder that holds {what}, or give --images"


def fetch_calibration(folder: Path) -> None:
    """Download those of the manifest's photographs that `folder` lacks."""
    files = [
        (e.url, folder / e.file_name, {"size_bytes": e.size_bytes, "sha256": e.sha256})
        for e in dataset.manifest()
    ]
    try:
        _fetch_missing(files, "calibration images")
    except DataUnavailable as error:
        raise DataUnavailable(
            f"calibration images: {error}. {_HELP.format(what='coco/calibration')}"
        ) from None


def fetch_val2017(folder: Path, limit: int | None) -> tuple[Path, Path]:
    """Download val2017's annotations, and the first `limit` photographs by id.

    Returns the image folder and the annotation file.
    """
    from data.annotations import read_annotations

    images, annotations = folder / "val2017", folder / _MEMBER
    try:
        if not annotations.is_file():
            _fetch_annotations(annotations)
        listed = read_annotations(annotations)["images"]
        names = sorted(image["file_name"] for image in listed)[:limit]
        if astray := [name for name in names if Path(name).name != name]:
            raise KitError(f"{annotations}: `{astray[0]}` is not a plain file name")
        _fetch_missing([(VAL_URL + name, images / name, {}) for name in names], "val2017 images")
    except DataUnavailable as error:
        what = "coco/val2017 and coco/annotations"
        raise DataUnavailable(
            f"evaluation images: {error}. {_HELP.format(what=what)} with --annotations"
        ) from None
    return images, annotations


def _fetch_missing(files: Sequence[tuple[str, Path, dict[str, Any]]], what: str) -> None:
    """Files by URL, path and what `fetch` checks."""
    missing = [file for file in files if not file[1].is_file()]
    session = requests.Session()
    for url, path, checks in tqdm(missing, desc=what, disable=None if missing else True):
        fetch(url, path, session=session, progress=False, **checks)


def _fetch_annotations(path: Path) -> None:
    archive = path.parent / Path(ANNOTATIONS_URL).name
    fetch(ANNOTATIONS_URL, archive, size_bytes=ANNOTATIONS_BYTES, sha256=ANNOTATIONS_SHA256)
    try:
        with zipfile.ZipFile(archive) as file, writing(path) as temporary:
            if file.getinfo(_MEMBER).file_size > _MEMBER_MOST_BYTES:
                raise zipfile.BadZipFile
            temporary.write_bytes(file.read(_MEMBER))  # zipfile checks the member's CRC.
    except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError):
        archive.unlink()
        raise DataUnavailable(f"{ANNOTATIONS_URL}: damaged archive, it was discarded") from None
    archive.unlink()
