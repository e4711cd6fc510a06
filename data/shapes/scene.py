"""One scene: shaded objects that overlap on a textured background, and their boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from data.shapes.shapes import CLASS_NAMES, SHAPES, Part

_OVERSAMPLING = 3
_SMALLEST, _LARGEST = 0.06, 0.75  # Sides of objects, in sides of the picture.
_MOST = 9
_VISIBLE = 0.35  # What is hidden by more than the rest is not annotated.
_CLUTTER = 14


@dataclass(frozen=True)
class Scene:
    """rgb: uint8 (H, W, 3). xyxy: (N, 4) float64, tight around what is visible. class_id: (N,)."""

    rgb: np.ndarray
    xyxy: np.ndarray
    class_id: np.ndarray


def make_scene(seed: int, width: int, height: int) -> Scene:
    """The scene of a seed; the same seed and size give the same pixels."""
    rng = np.random.default_rng([seed, width, height])
    canvas = _background(rng, width, height)
    count = int(rng.integers(1, _MOST + 1))
    # Far objects are small and drawn first.
    sides = np.sort(np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST), count)))
    owner = np.full((height, width), -1)
    areas = np.zeros(count)
    classes = rng.integers(0, len(CLASS_NAMES), count)
    for i, side in enumerate(sides * min(width, height)):
        parts = SHAPES[CLASS_NAMES[classes[i]]](rng)
        sprite = _sprite(rng, parts, float(side))
        areas[i] = _paste(rng, canvas, owner, sprite, i)
    boxes, kept = [], []
    for i in range(count):
        ys, xs = np.nonzero(owner == i)
        if len(xs) >= max(_VISIBLE * areas[i], 20):
            boxes.append((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
            kept.append(classes[i])
    rgb = _camera(rng, canvas)
    return Scene(rgb, np.array(boxes, np.float64).reshape(-1, 4), np.array(kept, np.int64))


def _background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Smooth colours, grain of several sizes, and shapes that are no object."""
    canvas = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((2, 70.0), (5, 45.0), (16, 25.0), (60, 15.0)):
        coarse = rng.normal(0, weight, (cells, cells, 3)).astype(np.float32)
        coarse = 0.7 * coarse.mean(2, keepdims=True) + 0.3 * coarse
        for c in range(3):
            layer = Image.fromarray(coarse[..., c])
            canvas[..., c] += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC))
    canvas += rng.uniform(80, 175, 3).astype(np.float32)
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(int(rng.integers(0, _CLUTTER + 1))):
        centre = rng.uniform(0, 1, 2) * (width, height)
        reach = rng.uniform(0.02, 0.3) * min(width, height)
        corners = centre + rng.normal(0, reach, (int(rng.integers(2, 6)), 2))
        colour = (*rng.integers(0, 256, 3).tolist(), int(rng.integers(60, 256)))
        points = [(float(x), float(y)) for x, y in corners]
        if len(points) == 2:
            draw.line(points, colour, int(rng.integers(1, 8)))
        else:
            draw.polygon(points, colour)
    return np.asarray(picture).astype(np.float32)


def _sprite(rng: np.random.Generator, parts: list[Part], side: float) -> np.ndarray:
    """An object, (h, w, 4) float32: premultiplied colour 0..255 and alpha 0..1."""
    palette = rng.uniform(30, 240, (3, 3))
    size = side * np.exp(rng.uniform(-0.25, 0.25, 2) * [1, -1])
    pixels = np.maximum(np.rint(size * _OVERSAMPLING), 6).astype(int)
    flip = rng.random() < 0.5
    margin = 2 * _OVERSAMPLING
    shape = (int(pixels[0]) + 2 * margin, int(pixels[1]) + 2 * margin)
    picture = Image.new("RGBA", shape)
    draw = ImageDraw.Draw(picture)
    for part in parts:
        points = np.array(part.points)
        points[:, 0] = 1 - points[:, 0] if flip else points[:, 0]
        colour = np.clip(palette[part.colour] * part.tone, 0, 255).astype(int).tolist()
        scaled = points * pixels + margin
        outline = tuple((np.array(colour) * 0.6).astype(int).tolist())
        draw.polygon([(float(x), float(y)) for x, y in scaled], (*colour, 255), (*outline, 255))
    turned = picture.rotate(rng.uniform(-25, 25), Image.Resampling.BILINEAR, expand=True)
    target = [max(1, round(n / _OVERSAMPLING)) for n in turned.size]
    small = np.asarray(turned.resize((target[0], target[1]), Image.Resampling.BOX), np.float32)
    alpha = small[..., 3:] / 255
    return np.concatenate([_shaded(rng, small[..., :3]) * alpha, alpha], 2)


def _shaded(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """Light from one side, a highlight, and grain."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.45)
    light = 1 + strength * (x * np.cos(angle) + y * np.sin(angle))
    spot = rng.uniform(-0.5, 0.5, 2)
    gloss = rng.uniform(0, 70) * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 0.1)
    grain = rng.normal(0, rng.uniform(0, 12), (height, width))
    shaded = rgb * light[..., None] + (gloss + grain)[..., None]
    return np.clip(shaded, 0, 255).astype(np.float32)


def _paste(
    rng: np.random.Generator, canvas: np.ndarray, owner: np.ndarray, sprite: np.ndarray, number: int
) -> int:
    """Put an object somewhere, its centre inside; returns the pixels it has on its own."""
    height, width = owner.shape
    h, w = sprite.shape[:2]
    left = int(rng.uniform(0, width) - w / 2)
    top = int(rng.uniform(0, height) - h / 2)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + w, width), min(top + h, height)
    cut = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
    canvas[y0:y1, x0:x1] = canvas[y0:y1, x0:x1] * (1 - cut[..., 3:]) + cut[..., :3]
    owner[y0:y1, x0:x1][cut[..., 3] > 0.5] = number
    return int((sprite[..., 3] > 0.5).sum())


def _camera(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Exposure, blur and sensor noise."""
    exposed = (canvas - 128) * rng.uniform(0.6, 1.2) + 128 + rng.uniform(-35, 35)
    picture = Image.fromarray(np.clip(exposed, 0, 255).astype(np.uint8))
    if rng.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    noise = rng.normal(0, rng.uniform(0, 9), canvas.shape)
    return np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
