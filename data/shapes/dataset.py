"""Scenes as a COCO-format set: JPEG files and one annotation file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from data.shapes.scene import make_scene
from data.shapes.shapes import CLASS_NAMES
from runtime.files import write_text, writing

_JPEG_QUALITY = 90


def write_set(folder: Path, images: int, width: int, height: int, seed: int) -> None:
    """Write `folder/images/*.jpg` and `folder/annotations.json`, scenes `seed` and on."""
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in tqdm(range(images), desc="scenes", unit="image", disable=None):
        scene = make_scene(seed + number, width, height)
        name = f"{seed + number:08d}.jpg"
        with writing(folder / "images" / name) as temporary:
            Image.fromarray(scene.rgb).save(temporary, quality=_JPEG_QUALITY)
        entries.append({"id": number + 1, "file_name": name, "width": width, "height": height})
        for (x0, y0, x1, y1), class_id in zip(scene.xyxy.tolist(), scene.class_id, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": int(class_id) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(CLASS_NAMES)]
    content = {"images": entries, "annotations": annotations, "categories": categories}
    write_text(folder / "annotations.json", json.dumps(content))
