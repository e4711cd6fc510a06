"""Where things are, in this order: the option, `NANODET_DATA`, the cache, a download.

`NANODET_DATA` names a folder with `weights/<file>.ckpt`, `coco/calibration/*.jpg`, and for
evaluation `coco/val500` with `coco/instances_val500.json`, or `coco/val2017` with
`coco/annotations/instances_val2017.json`. The cache has the same layout.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from calibration import dataset, frames_of
from data import coco
from data.download import fetch, fetch_google_drive, verify_checksum
from data.sets import find_sets
from data.shapes import sets
from runtime.errors import DataUnavailable, KitError
from runtime.files import cache, write_text
from runtime.image import list_images
from runtime.spec import ModelSpec, WeightsSource
from runtime.video import VIDEO_SUFFIXES

_EVALUATION_SETS = (
    ("val500", "instances_val500.json"),
    ("val2017", "annotations/instances_val2017.json"),
)

MODELS = Path(__file__).parent.parent / "models"


def data_folders() -> list[Path]:
    """Folders to look into, in order: `NANODET_DATA` if set, then the cache."""
    given = os.environ.get("NANODET_DATA")
    if given and not Path(given).is_dir():
        raise KitError(f"NANODET_DATA={given}: no such folder; correct or unset the variable")
    return [*([Path(given)] if given else []), cache()]


def models() -> dict[str, Path]:
    """Variant name -> YAML file."""
    return {path.stem: path for path in sorted(MODELS.glob("*.yaml"))}


def model_spec(name: str) -> ModelSpec:
    """The variant `name` of `models/`. Raises `KitError` listing the known ones."""
    known = models()
    if name not in known:
        raise KitError(f"--model {name}: unknown; known models: {', '.join(known)}")
    return ModelSpec.from_yaml(known[name])


def weights(spec: ModelSpec, given: Path | None) -> Path:
    """The checkpoint of a variant. Raises `DataUnavailable` when it cannot be had."""
    if given is not None:
        if not given.is_file():
            raise KitError(f"--weights {given}: no such file")
        return given
    source = spec.weights
    if source is None:
        raise KitError(f"{spec.name}: has no published weights; give a checkpoint with --weights")
    if source.committed:
        return MODELS / source.file
    for folder in data_folders():
        if (path := folder / "weights" / source.file).is_file():
            return path
    return _download_weights(source)


def _download_weights(source: WeightsSource) -> Path:
    path = cache() / "weights" / source.file
    problems = []
    try:
        if source.url:
            fetch(source.url, path, size_bytes=source.size_bytes, sha384=source.sha384)
            return path
    except DataUnavailable as error:
        problems.append(str(error))
    try:
        if source.google_drive_id:
            fetch_google_drive(source.google_drive_id, path)
            _pin(path)
            return path
    except DataUnavailable as error:
        problems.append(str(error))
    raise DataUnavailable(
        f"{source.file}: {'; '.join(problems)}. Give the file with --weights, put it at {path}, "
        "or set NANODET_DATA to a folder that holds weights/" + source.file
    )


def _pin(path: Path) -> None:
    """Remember what the first download gave; refuse another file under the same name.

    The publisher gives no checksum for files on Google Drive.
    """
    pin = path.with_name(path.name + ".sha256")
    if not pin.exists():
        write_text(pin, hashlib.sha256(path.read_bytes()).hexdigest() + "\n")
        print(f"{path.name}: no published checksum, pinned the first download's in {pin}")
    elif not verify_checksum(path, "sha256", pin.read_text(encoding="utf-8").strip()):
        path.unlink()
        raise DataUnavailable(
            f"{path.name}: differs from the file downloaded before ({pin}); remove that pin if "
            "the publisher replaced it"
        )


def calibration_images(spec: ModelSpec, given: Path | None) -> list[Path]:
    """Images to calibrate with: 100, or what is in the folder or video `given`.

    Raises `DataUnavailable` when they cannot be had.
    """
    if given is not None and given.suffix.lower() in VIDEO_SUFFIXES:
        return frames_of(given, cache() / "frames")
    if given is not None:
        return dataset.own_images(given)
    if spec.dataset == "shapes":
        return dataset.own_images(sets.scenes(cache(), "calibration")[0])
    for folder in data_folders():
        if folder != cache() and (images := folder / "coco" / "calibration").is_dir():
            return dataset.verified(images)
    target = cache() / "coco" / "calibration"
    coco.fetch_calibration(target)
    return dataset.verified(target)


def further_images(folder: Path | None) -> tuple[Path, ...]:
    """All images of a user's folder, to learn rounding from. Raises `KitError` where they are fewer
    than those of calibration."""
    paths = list_images(folder) if folder is not None else []
    if folder is not None and len(paths) < dataset.IMAGES:
        least = f"it takes {dataset.IMAGES} or more"
        raise KitError(f"--quantization-images {folder}: {len(paths)} images, {least}")
    return tuple(paths)


def evaluation_set(
    spec: ModelSpec,
    images: Path | None,
    annotations: Path | None,
    limit: int | None,
    download: bool = True,
) -> tuple[Path, Path] | None:
    """Image folder and annotations to evaluate on, see `read_annotations`; of `annotations` alone
    those for validation, see `find_sets`.

    Without `download`, None when nothing is at hand. Raises `DataUnavailable` when a download is
    needed and fails.
    """
    if images is not None and annotations is None:
        raise KitError("--images and --annotations belong together; give both or neither")
    if annotations is not None and images is None:
        sets_of = find_sets(annotations)
        chosen = next(sets_of[name] for name in ("val", "test", "train") if name in sets_of)
        return chosen.folder, chosen.path
    if images is not None and annotations is not None:
        return images, annotations
    if spec.dataset == "shapes":
        return sets.scenes(cache(), "val500")
    for folder in data_folders():
        if folder == cache():
            continue  # May hold a part of val2017 only; `fetch_val2017` completes it.
        for name, file in _EVALUATION_SETS:
            found = folder / "coco" / name, folder / "coco" / file
            if found[0].is_dir() and found[1].is_file():
                return found
    return coco.fetch_val2017(cache() / "coco", limit) if download else None
