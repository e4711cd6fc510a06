"""Pixels of a photograph -> pixels of the network's input, and boxes back.

Keep ratio: upstream's `cv2.warpPerspective` with its matrix (`nanodet/data/transform/warp.py`):
scaled about the image's centre, bilinear on a 1/32 pixel grid, black outside the image.
Stretch: plain bilinear resize to the canvas with half-pixel centres (`cv2.resize`), as frame
scalers and the model zoos do; upstream's warp samples up to half a source pixel beside it.
Neither has antialiasing. Calibration, inference and evaluation all go through here.

A *canvas* is the result: uint8 (height, width, channels) in the model's colour order. Pictures
become grey before they are resized.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .spec import PIXEL_BYTES, InputSpec, ModelSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)

# Weights are whole numbers of 1 / steps, as in OpenCV.
_WARP_STEPS = 32  # INTER_TAB_SIZE
_RESIZE_STEPS = 2048  # INTER_RESIZE_COEF_SCALE
_LUMA, _LUMA_BITS = (9798, 19235, 3735), 15  # ITU-R BT.601, of red, green and blue, as in OpenCV.


@dataclass(frozen=True)
class Placement:
    """Where an image lies on the canvas: canvas = scale * image + offset, in pixels, (x, y)."""

    scale: tuple[float, float]
    offset: tuple[float, float]
    image_wh: tuple[int, int]

    def boxes_to_image(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (N, 4) in canvas pixels -> image pixels, clipped to the image. float32."""
        scale = np.tile(np.array(self.scale), 2)
        offset = np.tile(np.array(self.offset), 2)
        limit = np.tile(np.array(self.image_wh), 2)
        clipped: NDArray[np.float32] = np.clip((xyxy - offset) / scale, 0, limit).astype(np.float32)
        return clipped


def place(image_wh: tuple[int, int], spec: InputSpec) -> Placement:
    """Placement of an image of `image_wh` pixels on the canvas of `spec`."""
    ratio = spec.width / image_wh[0], spec.height / image_wh[1]
    if not spec.keep_ratio:
        return Placement(ratio, (0.0, 0.0), image_wh)
    scale = min(ratio)
    offset = (
        spec.width * 0.5 - scale * (image_wh[0] / 2),
        spec.height * 0.5 - scale * (image_wh[1] / 2),
    )
    return Placement((scale, scale), offset, image_wh)


def to_canvas(rgb: NDArray[np.uint8], spec: InputSpec) -> tuple[NDArray[np.uint8], Placement]:
    """Resize an RGB image, uint8 (H, W, 3), onto the canvas of `spec`."""
    height, width = rgb.shape[:2]
    channels = spec.channels
    placement = place((width, height), spec)
    if spec.keep_ratio:
        steps = _WARP_STEPS
        wide = width * spec.height >= height * spec.width
        ratio = (width, spec.width) if wide else (height, spec.height)
        xs = _Taps.warped(width, spec.width, ratio)
        ys = _Taps.warped(height, spec.height, ratio)
    else:
        steps = _RESIZE_STEPS
        xs, ys = _Taps.resized(width, spec.width), _Taps.resized(height, spec.height)
    source = (to_grey(rgb) if channels == 1 else rgb).reshape(height, -1)
    rows = source[ys.first] * ys.weight_first[:, None]
    rows += source[ys.second] * ys.weight_second[:, None]
    total = xs.of_pixels(rows, channels)
    whole = steps * steps
    total += np.uint32(whole // 2)
    total //= np.uint32(whole)
    pixels = total.reshape(len(total), -1, channels)
    canvas = np.zeros(spec.canvas_shape, np.uint8)
    order = slice(None, None, -1) if spec.colour_order == "BGR" else slice(None)
    canvas[ys.start : ys.stop, xs.start : xs.stop] = pixels[..., order]
    return canvas, placement


def to_grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of RGB pixels (..., 3), in whole numbers, so that C finds the same; of grey the grey."""
    total = rgb @ np.array(_LUMA, np.uint32) + np.uint32(1 << (_LUMA_BITS - 1))
    grey: NDArray[np.uint8] = (total >> np.uint32(_LUMA_BITS)).astype(np.uint8)
    return grey


@dataclass(frozen=True)
class _Taps:
    """Two source indices and weights (in 1 / steps) for canvas positions start..stop-1."""

    start: int
    stop: int
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weight_first: NDArray[np.uint16] | NDArray[np.uint32]
    weight_second: NDArray[np.uint16] | NDArray[np.uint32]

    def of_pixels(self, rows: NDArray[Any], channels: int) -> NDArray[np.uint32]:
        """uint32 (h, target * channels): the weighted sums along rows (h, source * channels)."""
        total = np.zeros((1, 1), np.uint32)
        taps = (self.first, self.weight_first), (self.second, self.weight_second)
        for pixel, weight in taps:
            place = (pixel[:, None] * channels + np.arange(channels)).ravel()
            weights = np.repeat(weight.astype(np.uint32), channels)
            total = total + rows.take(place, axis=1) * weights
        return total

    @classmethod
    def warped(cls, source: int, target: int, ratio: tuple[int, int]) -> _Taps:
        """About the centres, `ratio` source pixels a target pixel. Taps outside the image weigh
        nothing, which blends the border with black."""
        twice = 2 * np.arange(target) - target  # The distance from the centre, doubled.
        steps = _rounded(twice * (_WARP_STEPS // 2 * ratio[0]), ratio[1])
        steps += _WARP_STEPS // 2 * source
        first, fraction = np.divmod(steps, _WARP_STEPS)
        touched = np.flatnonzero((first >= -1) & (first < source))
        start, stop = int(touched[0]), int(touched[-1]) + 1
        first, fraction = first[start:stop], fraction[start:stop]
        return cls(
            start,
            stop,
            np.clip(first, 0, source - 1),
            np.clip(first + 1, 0, source - 1),
            ((_WARP_STEPS - fraction) * (first >= 0)).astype(np.uint16),
            (fraction * (first + 1 < source)).astype(np.uint16),
        )

    @classmethod
    def resized(cls, source: int, target: int) -> _Taps:
        """Half-pixel centres; beyond the outermost ones the border pixel is repeated."""
        whole = 2 * target  # A source pixel, in the unit of positions.
        positions = (2 * np.arange(target) + 1) * source - target
        first, rest = np.divmod(np.clip(positions, 0, (source - 1) * whole), whole)
        fraction = _rounded(rest * _RESIZE_STEPS, whole).astype(np.uint32)
        second = np.minimum(first + 1, source - 1)
        return cls(0, target, first, second, np.uint32(_RESIZE_STEPS) - fraction, fraction)


def _rounded(numerator: NDArray[np.int64], denominator: int) -> NDArray[np.int64]:
    """numerator / denominator in whole numbers, so that C finds the same; ties to even, which
    OpenCV's doubles settle by chance."""
    quotient, rest = np.divmod(2 * numerator + denominator, 2 * denominator)
    rounded: NDArray[np.int64] = quotient - ((rest == 0) & (quotient % 2 == 1))
    return rounded


def int8_input(canvas: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.int8]:
    """Canvas -> int8 as the graph of `spec` takes it: `pixel - 128`, (1, H, W, C), rotated by 180
    degrees and in blocks (see `GraphSpec`) if the graph wants it."""
    return np.ascontiguousarray(_arranged(canvas, spec) ^ 0x80).view(np.int8)[None]


def float_input(
    canvas: NDArray[np.uint8], spec: ModelSpec, dtype: type[np.floating[Any]] = np.float32
) -> NDArray[np.floating[Any]]:
    """Canvas -> floats as the graph of `spec` takes them before quantization; see `int8_input`."""
    pixels: NDArray[np.floating[Any]] = canvas.astype(dtype)
    if spec.graph.raw_pixels:
        pixels = (pixels - spec.input.raw_offset) / dtype(spec.input.raw_scale)
    else:
        mean: NDArray[np.floating[Any]] = np.array(spec.input.mean, dtype)
        pixels = (pixels - mean) / np.array(spec.input.std, dtype)
    return np.ascontiguousarray(_arranged(pixels, spec))[None]


def _arranged(pixels: NDArray[_Scalar], spec: ModelSpec) -> NDArray[_Scalar]:
    """(H, W, C), rotated, and in blocks (H/2, W/2, 16), each 2x2 pixels, row by row."""
    pixels = upright(pixels, spec)
    if not spec.graph.space_to_depth:
        return pixels
    height, width, channels = pixels.shape
    filled = np.zeros((height, width, PIXEL_BYTES), pixels.dtype)
    filled[..., :channels] = pixels
    cells = filled.reshape(height // 2, 2, width // 2, 2, PIXEL_BYTES).transpose(0, 2, 1, 3, 4)
    return cells.reshape(height // 2, width // 2, 4 * PIXEL_BYTES)


def upright(grid: NDArray[_Scalar], spec: ModelSpec) -> NDArray[_Scalar]:
    """An output grid (h, w, C) of the graph, turned to the image's orientation, or an image to the
    graph's. A view."""
    return grid[::-1, ::-1] if spec.graph.rotated_180 else grid
