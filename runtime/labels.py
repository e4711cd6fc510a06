"""Where the labels of boxes lie in a picture: beside their box, within the picture, apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Area(NamedTuple):
    """Pixels from left and top to right and bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: Area) -> bool:
        """Do the two share pixels?"""
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.bottom <= other.top or other.bottom <= self.top)


def place(
    boxes: Sequence[Area], sizes: Sequence[tuple[float, float]], picture: tuple[int, int]
) -> list[Area | None]:
    """An area for each label, the first ones first; None where there is no place left.

    sizes: width and height of each label. picture: its width and height.
    """
    taken: list[Area] = []
    found: list[Area | None] = []
    for box, (width, height) in zip(boxes, sizes):
        areas = _beside(box, width, height, picture)
        chosen = next((a for a in areas if not any(map(a.covers, taken))), None)
        found.append(chosen)
        taken += [] if chosen is None else [chosen]
    return found


def _beside(box: Area, width: float, height: float, picture: tuple[int, int]) -> Iterator[Area]:
    """Areas that touch the box, the usual ones first."""
    room = picture[0] - width, picture[1] - height
    if min(room) < 0:
        return
    columns = _steps(box.left, box.right - width, height)
    rows = _steps(box.top, box.bottom - height, height)
    outside = [(x, box.top - height) for x in columns] + [(x, box.bottom) for x in columns]
    inside = [(box.left, y) for y in rows] + [(box.right - width, y) for y in rows]
    beyond = [(box.right, y) for y in rows] + [(box.left - width, y) for y in rows]
    for x, y in (outside[0], inside[0], *inside, *outside, *beyond):
        left, top = min(max(x, 0), room[0]), min(max(y, 0), room[1])
        yield Area(left, top, left + width, top + height)


def _steps(first: float, last: float, step: float) -> list[float]:
    """From `first` on, up to `last` where that lies behind it."""
    count = max(0, int((last - first) / step))
    return [first + step * i for i in range(count + 1)] + ([last] if last > first else [])
