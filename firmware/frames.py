"""What `firmware/nanodet` computes besides `runtime`: pixel formats, nearest pixels, boxes back.

The same whole numbers as the C code, so that the two are compared bit for bit.
"""

from __future__ import annotations

import numpy as np

from runtime.preprocess import to_grey
from runtime.spec import InputSpec

# In the order of `nanodet_pixel_format`.
PIXEL_FORMATS = ("RGB565", "RGB888", "BGR888", "YUYV", "GREY8")


def to_rgb(frame: np.ndarray, pixel_format: str) -> np.ndarray:
    """A frame's bytes, uint8 (H, W * bytes per pixel), as RGB, uint8 (H, W, 3)."""
    height = len(frame)
    if pixel_format == "GREY8":
        return np.repeat(frame[..., None], 3, axis=2)
    if pixel_format == "RGB888":
        return frame.reshape(height, -1, 3)
    if pixel_format == "BGR888":
        return frame.reshape(height, -1, 3)[..., ::-1]
    if pixel_format == "RGB565":
        pair = frame.reshape(height, -1, 2).astype(np.int32)
        word = pair[..., 0] | pair[..., 1] << 8
        red, green, blue = word >> 11, word >> 5 & 63, word & 31
        wide = red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2
        return np.stack(wide, axis=2).astype(np.uint8)
    pairs = frame.reshape(height, -1, 4).astype(np.int32)
    u, v = (np.repeat(pairs[..., i], 2, axis=1) - 128 for i in (1, 3))
    luma = 298 * (pairs[..., ::2].reshape(height, -1) - 16) + 128
    channels = luma + 409 * v, luma - 100 * u - 208 * v, luma + 516 * u
    return np.stack([np.clip(c >> 8, 0, 255) for c in channels], axis=2).astype(np.uint8)


def nearest_canvas(rgb: np.ndarray, spec: InputSpec) -> np.ndarray:
    """As `runtime.preprocess.to_canvas`, with the nearest pixel instead of a weighted mean."""
    height, width = rgb.shape[:2]
    wide = width * spec.height >= height * spec.width
    ratio = (width, spec.width) if wide else (height, spec.height)
    columns = _nearest(width, spec.width, ratio if spec.keep_ratio else None)
    rows = _nearest(height, spec.height, ratio if spec.keep_ratio else None)
    canvas = np.zeros(spec.canvas_shape, np.uint8)
    seen = np.ix_(rows >= 0, columns >= 0)
    pixels = rgb[rows[rows >= 0]][:, columns[columns >= 0]]
    if spec.channels == 1:
        pixels = to_grey(pixels)[..., None]
    canvas[seen] = pixels[..., ::-1] if spec.colour_order == "BGR" else pixels
    return canvas


def _nearest(source: int, target: int, ratio: tuple[int, int] | None) -> np.ndarray:
    """Source index of each canvas position; -1 outside."""
    position = np.arange(target)
    if ratio is None:
        return (2 * position + 1) * source // (2 * target)
    num, den = ratio
    index = ((2 * position - target) * num + (source + 1) * den) // (2 * den)
    return np.where((index >= 0) & (index < source), index, -1)


def boxes_to_frame(box_q4: np.ndarray, frame_wh: tuple[int, int], spec: InputSpec) -> np.ndarray:
    """Boxes (N, 4) on the canvas in 1/16 pixels -> in the frame, clipped to it; ties upwards."""
    size = np.array(frame_wh * 2, np.int64)
    canvas = np.array([spec.width, spec.height] * 2, np.int64)
    if not spec.keep_ratio:
        found = (2 * box_q4.astype(np.int64) * size + canvas) // (2 * canvas)
        return np.clip(found, 0, size << 4).astype(np.int32)
    wide = frame_wh[0] * spec.height >= frame_wh[1] * spec.width
    num, den = (frame_wh[0], spec.width) if wide else (frame_wh[1], spec.height)
    found = (2 * (box_q4 - (canvas << 3)) * num + den) // (2 * den) + (size << 3)
    return np.clip(found, 0, size << 4).astype(np.int32)
