"""The object classes: each a few coloured parts in a unit square, y downwards.

Colours are numbers of a palette that is drawn anew for each object, so that shape alone tells the
classes apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Part:
    """A filled polygon. colour: number in the object's palette. tone: factor on its brightness."""

    points: Points
    colour: int
    tone: float = 1.0


def _ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360
) -> Points:
    angles = np.radians(np.linspace(start, end, 25))
    points = zip(x + rx * np.cos(angles), y + ry * np.sin(angles), strict=True)
    return [(float(px), float(py)) for px, py in points]


def _rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _ring(
    x: float, y: float, rx: float, ry: float, width: float, start: float, end: float
) -> Points:
    inner = _ellipse(x, y, rx - width, ry - width, start, end)
    return _ellipse(x, y, rx, ry, start, end) + inner[::-1]


def _ball(rng: np.random.Generator) -> list[Part]:
    band = rng.uniform(0.1, 0.3)
    stripe = _ellipse(0.5, 0.5, 0.5, band, 0, 180) + _ellipse(0.5, 0.5, 0.5, band * 0.2, 180, 0)
    return [Part(_ellipse(0.5, 0.5, 0.5, 0.5), 0), Part(stripe, 1)]


def _cup(rng: np.random.Generator) -> list[Part]:
    foot = rng.uniform(0.05, 0.2)
    body = [(0.0, 0.12), (0.72, 0.12), (0.72 - foot, 1.0), (foot, 1.0)]
    return [
        Part(_ring(0.7, 0.48, 0.3, 0.28, 0.09, -90, 90), 0, 0.8),
        Part(body, 0),
        Part(_ellipse(0.36, 0.12, 0.36, 0.12), 1, 0.7),
    ]


def _bottle(rng: np.random.Generator) -> list[Part]:
    shoulder, label = rng.uniform(0.3, 0.42), rng.uniform(0.5, 0.6)
    body = [(0.4, 0.1), (0.6, 0.1), (0.6, 0.2), (0.72, shoulder), (0.72, 1), (0.28, 1),
            (0.28, shoulder), (0.4, 0.2)]  # fmt: skip
    return [
        Part(body, 0),
        Part(_rectangle(0.39, 0.0, 0.61, 0.1), 1),
        Part(_rectangle(0.28, label, 0.72, label + 0.25), 2, 1.2),
    ]


def _clock(rng: np.random.Generator) -> list[Part]:
    parts = [Part(_ellipse(0.5, 0.5, 0.5, 0.5), 0), Part(_ellipse(0.5, 0.5, 0.41, 0.41), 1, 1.4)]
    for length in (0.24, 0.36):
        angle = rng.uniform(0, 2 * np.pi)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = 0.035 * np.array([-along[1], along[0]])
        corners = (across, -across, along * length - across, along * length + across)
        parts.append(Part([(float(0.5 + c[0]), float(0.5 + c[1])) for c in corners], 2, 0.3))
    return parts


def _house(rng: np.random.Generator) -> list[Part]:
    eaves, door = rng.uniform(0.35, 0.5), rng.uniform(0.15, 0.6)
    return [
        Part(_rectangle(0.08, eaves, 0.92, 1.0), 0),
        Part([(0.0, eaves), (0.5, 0.0), (1.0, eaves)], 1, 0.8),
        Part(_rectangle(door, 0.68, door + 0.2, 1.0), 2, 0.6),
    ]


def _tree(rng: np.random.Generator) -> list[Part]:
    parts = [Part(_rectangle(0.42, 0.7, 0.58, 1.0), 1, 0.6)]
    for i, top in enumerate((0.35, 0.18, 0.0)):
        half = 0.5 - 0.11 * i * rng.uniform(0.8, 1.2)
        parts.append(Part([(0.5 - half, top + 0.42), (0.5, top), (0.5 + half, top + 0.42)], 0))
    return parts


def _car(rng: np.random.Generator) -> list[Part]:
    front, rear = rng.uniform(0.15, 0.3), rng.uniform(0.7, 0.85)
    cabin = [(front, 0.42), (front + 0.12, 0.08), (rear - 0.1, 0.08), (rear, 0.42)]
    window = [(front + 0.07, 0.4), (front + 0.15, 0.15), (rear - 0.14, 0.15), (rear - 0.06, 0.4)]
    wheels = [Part(_ellipse(x, 0.8, 0.13, 0.2), 2, 0.3) for x in (0.24, 0.77)]
    hubs = [Part(_ellipse(x, 0.8, 0.05, 0.08), 2, 1.3) for x in (0.24, 0.77)]
    body = Part(_rectangle(0.0, 0.38, 1.0, 0.8), 0)
    return [Part(cabin, 0, 0.9), Part(window, 1, 1.2), body, *wheels, *hubs]


def _fish(rng: np.random.Generator) -> list[Part]:
    tail = rng.uniform(0.25, 0.4)
    return [
        Part([(0.62, 0.5), (1.0, 0.5 - tail), (0.92, 0.5), (1.0, 0.5 + tail)], 1, 0.9),
        Part([(0.3, 0.3), (0.5, 0.0), (0.6, 0.35)], 1, 0.8),
        Part(_ellipse(0.37, 0.52, 0.37, 0.3), 0),
        Part(_ellipse(0.15, 0.45, 0.05, 0.06), 2, 0.2),
    ]


def _chair(rng: np.random.Generator) -> list[Part]:
    seat = rng.uniform(0.5, 0.6)
    legs = [Part(_rectangle(x, seat, x + 0.09, 1.0), 1, 0.7) for x in (0.05, 0.3, 0.62, 0.86)]
    back = [Part(_rectangle(x, 0.0, x + 0.09, seat), 1) for x in (0.05, 0.86)]
    bars = [Part(_rectangle(0.05, y, 0.95, y + 0.1), 0) for y in (0.03, 0.24)]
    return [*legs, *back, *bars, Part(_rectangle(0.0, seat - 0.06, 1.0, seat + 0.08), 0, 1.1)]


def _lamp(rng: np.random.Generator) -> list[Part]:
    top = rng.uniform(0.15, 0.3)
    return [
        Part(_rectangle(0.46, 0.4, 0.54, 0.95), 1, 0.7),
        Part(_ellipse(0.5, 0.95, 0.28, 0.05), 1, 0.8),
        Part([(0.5 - top, 0.0), (0.5 + top, 0.0), (0.95, 0.42), (0.05, 0.42)], 0, 1.2),
    ]


def _umbrella(rng: np.random.Generator) -> list[Part]:
    depth = rng.uniform(0.42, 0.55)
    panel = [(0.5, 0.0), *_ellipse(0.5, depth, 0.17, depth, 180, 360)[6:19]]
    return [
        Part(_rectangle(0.47, 0.3, 0.53, 0.9), 2, 0.5),
        Part(_ring(0.59, 0.88, 0.12, 0.12, 0.05, 0, 180), 2, 0.5),
        Part(_ellipse(0.5, depth, 0.5, depth, 180, 360), 0),
        Part(panel, 1),
    ]


def _key(rng: np.random.Generator) -> list[Part]:
    teeth = [Part(_rectangle(x, 0.5, x + 0.08, rng.uniform(0.7, 0.85)), 0, 0.9)
             for x in (0.68, 0.86)]  # fmt: skip
    return [
        Part(_ring(0.22, 0.5, 0.22, 0.32, 0.1, 0, 360), 0),
        Part(_rectangle(0.42, 0.42, 1.0, 0.58), 0),
        *teeth,
    ]


SHAPES: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "ball": _ball,
    "bottle": _bottle,
    "car": _car,
    "chair": _chair,
    "clock": _clock,
    "cup": _cup,
    "fish": _fish,
    "house": _house,
    "key": _key,
    "lamp": _lamp,
    "tree": _tree,
    "umbrella": _umbrella,
}
CLASS_NAMES = tuple(SHAPES)
