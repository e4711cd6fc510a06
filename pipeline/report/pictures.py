"""Images as the float and the quantized network see them, side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.report.contract import Picture
from runtime.detections import Detections
from runtime.detector import Detector
from runtime.draw import annotate
from runtime.image import load_rgb

PICTURES = 4
_SIDE = 480
_TEXT_PX = 16  # Legible where a phone shows the picture smaller.
_QUALITY = 82


def pictures(exact: Detector, quantized: Detector, paths: Sequence[Path]) -> tuple[Picture, ...]:
    """Of the first images in which the float network finds something; of the first ones, where it
    finds nothing in any."""
    chosen: list[Picture] = []
    spare: list[Picture] = []
    for path in paths:
        picture, found = _picture(exact, quantized, path)
        (chosen if found else spare).append(picture)
        if len(chosen) == PICTURES:
            break
    return tuple((chosen or spare)[:PICTURES])


def _picture(exact: Detector, quantized: Detector, path: Path) -> tuple[Picture, int]:
    rgb = load_rgb(path)
    before, after = exact.detect(rgb), quantized.detect(rgb)
    picture = Picture(
        path.name, _uri(rgb, before), _uri(rgb, after), _listed(before), _listed(after)
    )
    return picture, len(before)


def _uri(rgb: np.ndarray, found: Detections) -> str:
    """A small JPEG with boxes."""
    image = Image.fromarray(rgb)
    image.thumbnail((_SIDE, _SIDE))
    factor = np.float32(image.width / rgb.shape[1])
    small = Detections(found.xyxy * factor, found.confidence, found.class_id, found.class_names)
    drawn = annotate(np.asarray(image), small, found.class_names, text_px=_TEXT_PX)
    content = io.BytesIO()
    drawn.save(content, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def _listed(found: Detections) -> str:
    """`person 0.71, car 0.40`, or that there is nothing."""
    pairs = zip(found.class_name, found.confidence)
    return ", ".join(f"{name} {score:.2f}" for name, score in pairs) or "nothing"
