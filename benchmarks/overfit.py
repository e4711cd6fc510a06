"""`python -m benchmarks.overfit`: does training learn? 16 real images by heart, from the official
NanoDet-m-0.5x, on the CPU.

Prints the AP on these images before and after, and the minutes it took.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.builds import evaluate, python
from data import locate
from data.annotations import read_annotations
from data.names import DEFAULT_MODEL
from runtime.cli import run
from runtime.files import write_text

_IMAGES = 16
_EPOCHS = 900


def main() -> int:
    """Train, evaluate, print."""
    spec = locate.model_spec(DEFAULT_MODEL)
    weights = locate.weights(spec, None)
    found = locate.evaluation_set(spec, None, None, _IMAGES)
    assert found is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_first(*found, folder)
        before = _average_precision(folder, weights)
        start = time.perf_counter()
        python(
            "nanodet", "train", "--data", name, "--out", str(folder / "run"),
            "--weights", str(weights),
            "--batch", str(_IMAGES), "--epochs", str(_EPOCHS), "--no-augmentation",
            "--accelerator", "cpu",
        )  # fmt: skip
        minutes = (time.perf_counter() - start) / 60
        after = _average_precision(folder, folder / "run" / "last.ckpt")
    print(f"AP on {_IMAGES} images {before:.2f} -> {after:.2f}, {_EPOCHS} steps, {minutes:.1f} min")
    return 0


def _write_first(images: Path, annotations: Path, folder: Path) -> None:
    """The first images by id that have objects, as a set of their own."""
    content = read_annotations(annotations)
    with_objects = {a["image_id"] for a in content["annotations"]}
    listed = sorted(content["images"], key=lambda image: image["id"])
    content["images"] = [i for i in listed if i["id"] in with_objects][:_IMAGES]
    chosen = {image["id"] for image in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in chosen]
    write_text(folder / "annotations.json", json.dumps(content))
    (folder / "images").mkdir()
    for image in content["images"]:
        (folder / "images" / image["file_name"]).symlink_to((images / image["file_name"]).resolve())


def _average_precision(folder: Path, weights: Path) -> float:
    return evaluate(
        folder / "scores.json", "--engine", "torch", "--model", DEFAULT_MODEL,
        "--strides", "8,16,32", "--weights", str(weights), "--images", str(folder / "images"),
        "--annotations", str(folder / "annotations.json"),
    )["AP"]  # fmt: skip


if __name__ == "__main__":
    sys.exit(run(main))
