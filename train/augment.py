"""Upstream's augmentations: one random warp of the picture, then colour.

The order and meaning of the steps follow `nanodet/data/transform/warp.py` and `color.py`, so that
the `pipeline` of an upstream configuration means here what it means there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from runtime.errors import KitError
from runtime.spec import InputSpec

_APPLIED = 0.5  # Of the pictures, each change of colour by itself.

Size = tuple[int, int]  # Width and height in pixels.


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random warp and colours, under upstream's names.

    scale, stretch (x and y): factors. rotation, shear: degrees to either side. translate: of the
    picture's sides. perspective: entries of the matrix's last row. flip: probability.
    brightness: added, of 255. contrast, saturation: factors. Each of these three changes half of
    the pictures. divisible: of what the sides of a canvas that keeps the ratio are multiples.
    """

    perspective: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    stretch: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 1.0), (1.0, 1.0))
    rotation: float = 0.0
    shear: float = 0.0
    translate: float = 0.0
    flip: float = 0.0
    brightness: float = 0.0
    contrast: tuple[float, float] = (1.0, 1.0)
    saturation: tuple[float, float] = (1.0, 1.0)
    divisible: int = 0

    def __post_init__(self) -> None:
        if self.divisible < 0:
            raise KitError(f"divisible is {self.divisible}, expected 0 or more")


def smallest_canvas(image: Size, spec: InputSpec, divisible: int = 0) -> Size:
    """The input without the bars beside a picture that keeps its ratio, as upstream trains."""
    if not spec.keep_ratio:
        return spec.width, spec.height
    scale = min(spec.width / image[0], spec.height / image[1])
    step = divisible or 1
    width, height = (max(-(-int(scale * side) // step), 1) * step for side in image)
    return width, height


def warp_matrix(
    rng: np.random.Generator, setting: Augmentation, image_wh: Size, canvas: Size, keep_ratio: bool
) -> np.ndarray:
    """Random homography (3, 3) from picture pixels to canvas pixels."""
    width, height = image_wh
    matrix = np.eye(3)
    matrix[:2, 2] = -width / 2, -height / 2
    perspective = np.eye(3)
    perspective[2, :2] = rng.uniform(-1, 1, 2) * setting.perspective
    stretch = [rng.uniform(*limits) for limits in setting.stretch]
    scale = np.diag([*(rng.uniform(*setting.scale) * np.array(stretch)), 1.0])
    angle = math.radians(rng.uniform(-1, 1) * setting.rotation)
    rotation = np.eye(3)
    rotation[:2, :2] = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    shear = np.eye(3)
    shear[[0, 1], [1, 0]] = np.tan(np.radians(rng.uniform(-1, 1, 2) * setting.shear))
    flip = np.diag([-1.0 if rng.random() < setting.flip else 1.0, 1.0, 1.0])
    shift = np.eye(3)
    shift[:2, 2] = (0.5 + rng.uniform(-1, 1, 2) * setting.translate) * image_wh
    factors = np.array(canvas) / image_wh
    if keep_ratio:
        factors[:] = factors.min()
    resize = np.diag([*factors, 1.0])
    resize[:2, 2] = (canvas - factors * image_wh) / 2
    result: np.ndarray = resize @ shift @ flip @ shear @ rotation @ scale @ perspective @ matrix
    return result


def warp_picture(picture: Image.Image, matrix: np.ndarray, size: Size) -> np.ndarray:
    """Bilinear, black outside: uint8 (H, W, 3), or (H, W) of a grey picture."""
    # A pixel's centre is its number upstream, half a pixel further in Pillow.
    centre = np.eye(3)
    centre[:2, 2] = 0.5
    inverse = centre @ np.linalg.inv(matrix) @ np.linalg.inv(centre)
    coefficients = (inverse / inverse[2, 2]).ravel()[:8].tolist()
    mode, bilinear = Image.Transform.PERSPECTIVE, Image.Resampling.BILINEAR
    return np.asarray(picture.transform(size, mode, coefficients, bilinear))


def warp_boxes(xyxy: np.ndarray, matrix: np.ndarray, size: Size) -> np.ndarray:
    """Boxes (N, 4) around the warped corners, clipped to the canvas: float32. As upstream has it,
    all are kept, also those of which nothing is left."""
    corners = xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = np.concatenate([corners, np.ones((*corners.shape[:2], 1))], 2) @ matrix.T
    moved = moved[..., :2] / moved[..., 2:]
    whole = np.concatenate([moved.min(1), moved.max(1)], 1)
    return np.clip(whole, 0, np.tile(size, 2)).astype(np.float32)


def vary_colour(rng: np.random.Generator, canvas: np.ndarray, setting: Augmentation) -> np.ndarray:
    """Brightness, contrast and HSV's saturation, which grey has none of: float32 (H, W, C), 0..255
    and beyond."""
    pixels = canvas.astype(np.float32)
    brighter, starker, purer = rng.random(3) < _APPLIED
    if brighter:
        pixels += np.float32(255 * rng.uniform(-1, 1) * setting.brightness)
    if starker:
        pixels *= np.float32(rng.uniform(*setting.contrast))
    if purer:
        # HSV keeps the largest channel. OpenCV divides by its size, also where it is negative.
        largest = pixels.max(2, keepdims=True)
        factor = np.sign(largest) * np.float32(rng.uniform(*setting.saturation))
        pixels = largest + (pixels - largest) * factor
    return pixels
