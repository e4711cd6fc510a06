"""The test image, and what a device is to find in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from firmware.engine.weights import LONGEST_SIDE
from firmware.frames import boxes_to_frame, nearest_canvas, to_rgb
from firmware.layout import Basis
from firmware.stem import run_stem
from firmware.text import one_line
from quantize.split import Stem
from runtime import integer
from runtime.engines import TflmEngine
from runtime.image import load_rgb
from runtime.preprocess import int8_input, to_canvas, to_grey
from runtime.spec import InputSpec
from runtime.tflite_file import TfliteFile

RESIZES: dict[str, Callable[[np.ndarray, InputSpec], np.ndarray]] = {
    "nearest": nearest_canvas,
    "bilinear": lambda rgb, spec: to_canvas(rgb, spec)[0],
}


@dataclass(frozen=True)
class Recording:
    """frame: in `format`, uint8 (H, W * bytes per pixel). input, outputs: int8, of the file that
    runs on the board, as they lie in memory. box_q4: int32 (N, 4) in the frame. lines: the
    detections as text."""

    name: str
    format: str
    frame: np.ndarray
    width: int
    input: np.ndarray
    outputs: list[np.ndarray]
    box_q4: np.ndarray
    score: np.ndarray
    class_id: np.ndarray
    lines: list[str]

    @property
    def numbers(self) -> list[list[str]]:
        """Of each detection its score and box, as a board prints them."""
        return [_numbers(score, box) for score, box in zip(self.score, self.box_q4)]


def _numbers(score: int, box_q4: np.ndarray) -> list[str]:
    return [f"0.{int(score) * 10000 >> 16:04d}", *(f"{int(side) / 16:.4f}" for side in box_q4)]


def record(file: TfliteFile, layout: Basis, stem: Stem | None, picture: Path) -> Recording:
    """Run the picture through TensorFlow Lite Micro on this machine."""
    rgb, grey = _small(load_rgb(picture)), file.spec.input.channels == 1
    frame, form = (to_grey(rgb), "GREY8") if grey else (to_rgb565(rgb), "RGB565")
    canvas = RESIZES[layout.resize](to_rgb(frame, form), file.spec.input)
    engine, spec = TflmEngine(file), file.spec
    raw = engine.infer_raw(canvas)
    selection = layout.selection
    tables = integer.make_tables(spec, file.outputs, selection.score_threshold)
    candidates = integer.decode(raw, tables, spec)
    kept = integer.suppress(candidates, selection.iou_threshold, selection.max_detections)
    size = rgb.shape[1], rgb.shape[0]
    boxes = boxes_to_frame(kept.box, size, spec.input)
    turned = spec.graph.rotated_180
    outputs = [
        np.ascontiguousarray(raw[t.name][::-1, ::-1] if turned else raw[t.name])
        for t in file.outputs
    ]
    names = [one_line(name) for name in spec.classes]
    lines = [
        " ".join([names[c], *_numbers(s, box)])
        for c, s, box in zip(kept.class_id, kept.score, boxes, strict=True)
    ]
    pixels = int8_input(canvas, spec)[0]
    pixels = pixels if stem is None else run_stem(stem, pixels)
    found = boxes, kept.score, kept.class_id, lines
    return Recording(picture.name, form, frame, size[0], pixels, outputs, *found)


def _small(rgb: np.ndarray) -> np.ndarray:
    image = Image.fromarray(rgb)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return np.asarray(image)


def to_rgb565(rgb: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 (H, 2 W), little endian, the low bits dropped."""
    wide = rgb.astype(np.uint16)
    word = wide[..., 0] >> 3 << 11 | wide[..., 1] >> 2 << 5 | wide[..., 2] >> 3
    bytes_: np.ndarray = word.astype("<u2").view(np.uint8).reshape(len(rgb), -1)
    return bytes_
