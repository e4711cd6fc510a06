"""Upstream's augmentations: one random warp of the picture, then colour.

The order and meaning of the steps follow `nanodet/data/transform/warp.py` and `color.py`, so that
the `pipeline` of an upstream configuration means here what it means there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from runtime.preprocess import place
from runtime.spec import InputSpec

_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of R, G, B
_SMALLEST = 2.0  # Sides of a box that is kept, pixels.
_KEPT_AREA = 0.1  # Of a box that the frame cuts.


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random warp and colours, under upstream's names.

    scale, stretch (x and y): factors. rotation, shear: degrees to either side. translate: of the
    picture's sides. perspective: entries of the matrix's last row. flip: probability.
    brightness: added, of 255. contrast, saturation: factors.
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


def warp_matrix(
    rng: np.random.Generator, setting: Augmentation, image_wh: tuple[int, int], spec: InputSpec
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
    placement = place(image_wh, spec)
    resize = np.diag([*placement.scale, 1.0])
    resize[:2, 2] = placement.offset
    result: np.ndarray = resize @ shift @ flip @ shear @ rotation @ scale @ perspective @ matrix
    return result


def warp_picture(rgb: Image.Image, matrix: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Bilinear, black outside: uint8 (H, W, 3) in the model's colour order."""
    # A pixel's centre is its number upstream, half a pixel further in Pillow.
    centre = np.eye(3)
    centre[:2, 2] = 0.5
    inverse = centre @ np.linalg.inv(matrix) @ np.linalg.inv(centre)
    coefficients = (inverse / inverse[2, 2]).ravel()[:8].tolist()
    size = spec.width, spec.height
    mode, bilinear = Image.Transform.PERSPECTIVE, Image.Resampling.BILINEAR
    canvas = np.asarray(rgb.transform(size, mode, coefficients, bilinear))
    return canvas[..., ::-1] if spec.colour_order == "BGR" else canvas


def warp_boxes(
    xyxy: np.ndarray, matrix: np.ndarray, spec: InputSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) around the warped corners, clipped; and which are worth keeping (N,)."""
    corners = xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = np.concatenate([corners, np.ones((*corners.shape[:2], 1))], 2) @ matrix.T
    moved = moved[..., :2] / moved[..., 2:]
    whole = np.concatenate([moved.min(1), moved.max(1)], 1)
    limit = np.array([spec.width, spec.height] * 2)
    clipped = np.clip(whole, 0, limit)
    sides, before = clipped[:, 2:] - clipped[:, :2], whole[:, 2:] - whole[:, :2]
    kept = (sides.min(1, initial=np.inf) >= _SMALLEST) & (
        sides.prod(1) >= _KEPT_AREA * before.prod(1)
    )
    return clipped.astype(np.float32), kept


def vary_colour(
    rng: np.random.Generator, canvas: np.ndarray, setting: Augmentation, colour_order: str
) -> np.ndarray:
    """Brightness, contrast and saturation: float32 (H, W, 3), 0..255 and beyond."""
    pixels = canvas.astype(np.float32)
    pixels += np.float32(255 * rng.uniform(-1, 1) * setting.brightness)
    pixels *= np.float32(rng.uniform(*setting.contrast))
    weights = _GREY[::-1] if colour_order == "BGR" else _GREY
    grey = (pixels @ weights)[..., None]
    result: np.ndarray = grey + (pixels - grey) * np.float32(rng.uniform(*setting.saturation))
    return result
