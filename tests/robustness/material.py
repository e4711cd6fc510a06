"""Sound inputs of every kind, for `mutate` to damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from runtime.benchmark.board import BOARDS
from tests.conftest import ROOT, photo, small

_SIZE = 96, 64
_TURNED = Image.Exif()
_TURNED[274] = 6  # Orientation.
# File name -> what Pillow is to do besides.
_PHOTOS: dict[str, dict[str, Any]] = {
    "plain.jpg": {},
    "progressive.jpg": {"progressive": True, "exif": _TURNED},
    "colours.png": {},
    "plain.bmp": {},
    "plain.webp": {},
}  # fmt: skip


def prepare(folder: Path, models: Sequence[Path]) -> None:
    """Write `folder/<kind>/*`: what mutants of each kind are made from.

    models: `.tflite` files of this kit with the classes of the embedded demo.
    """
    for kind in ("tflite", "checkpoint", "image", "json", "yaml", "voc", "yolo"):
        (folder / kind).mkdir(parents=True)
    for model in models:
        shutil.copy(model, folder / "tflite")
    _checkpoints(folder / "checkpoint")
    for i, (name, options) in enumerate(_PHOTOS.items()):
        Image.fromarray(photo(i, 130, 90)).save(folder / "image" / name, **options)
    write_annotations(folder / "json")
    _write_voc(folder / "voc")
    _write_yolo(folder / "yolo")
    configs = [*BOARDS.glob("*.yaml"), *(ROOT / "models").glob("*m-0.5x*.yaml")]
    for path in [*configs, ROOT / "models" / "shapes" / "nanodet-m-0.5x-shapes.yml"]:
        shutil.copy(path, folder / "yaml")


def _checkpoints(folder: Path) -> None:
    """The embedded demo's weights as PyTorch writes them today, and as it wrote them before."""
    import torch  # Workers that need none of it start at once.

    from convert.checkpoint import load_network
    from data import locate
    from tests.random_network import export_as_upstream

    state = torch.load(ROOT / "models" / "nanodet_m_0.5x_shapes.ckpt", weights_only=True)
    torch.save(state, folder / "archive.ckpt")
    torch.save(state, folder / "old.ckpt", _use_new_zipfile_serialization=False)
    spec = small(locate.model_spec("nanodet-m-0.5x-shapes"), *_SIZE)
    network = load_network(folder / "archive.ckpt", spec).network
    export_as_upstream(network, folder / "upstream.onnx", spec)


def write_annotations(folder: Path) -> None:
    """Three photographs in `folder/images`, each with two objects, in `folder/annotations.json`."""
    (folder / "images").mkdir()
    names = [f"{i}.jpg" for i in range(3)]
    for i, name in enumerate(names):
        Image.fromarray(photo(i, *_SIZE)).save(folder / "images" / name)
    sizes = {"width": _SIZE[0], "height": _SIZE[1]}
    boxes: list[list[float]] = [[0, 0, 96, 64], [10.5, 20.25, 30, 20]]
    content = {
        "images": [{"id": i, "file_name": name, **sizes} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "ball"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"id": 2 * i + k + 1, "image_id": i, "category_id": 1 + 2 * k, "bbox": box,
             "area": box[2] * box[3], "iscrowd": 0}
            for i in range(3) for k, box in enumerate(boxes)
        ],
    }  # fmt: skip
    (folder / "annotations.json").write_text(json.dumps(content))


def _pictures(folder: Path) -> list[str]:
    """Three photographs; their names without suffix."""
    folder.mkdir(parents=True)
    for i in range(3):
        Image.fromarray(photo(i, *_SIZE)).save(folder / f"{i}.jpg")
    return [str(i) for i in range(3)]


def _write_voc(folder: Path) -> None:
    """As VOC lays it out; each photograph with two objects."""
    stems = _pictures(folder / "JPEGImages")
    for inner in ("Annotations", "ImageSets/Main"):
        (folder / inner).mkdir(parents=True)
    corners = {"ball": (0, 0, 96, 64), "car": (10, 20, 40, 40)}
    boxes = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x0}</xmin>"
        f"<ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, (x0, y0, x1, y1) in corners.items()
    )
    for stem in stems:
        text = f"<annotation><filename>{stem}.jpg</filename>{boxes}</annotation>"
        (folder / "Annotations" / f"{stem}.xml").write_text(text)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("\n".join(stems))


def _write_yolo(folder: Path) -> None:
    """As YOLO lays it out; each photograph with a box and a polygon."""
    stems = _pictures(folder / "train" / "images")
    (folder / "train" / "labels").mkdir()
    for stem in stems:
        text = "0 0.5 0.5 1 1\n1 0.1 0.3 0.4 0.3 0.4 0.6\n"
        (folder / "train" / "labels" / f"{stem}.txt").write_text(text)
    content = {"names": ["ball", "car"], "nc": 2, "train": "train/images"}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))


def load_tree(path: Path) -> Any:
    """A YAML or JSON file as lists, mappings and plain values."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
