"""Labels lie within the picture, at their box, and never on one another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from runtime.detections import Detections
from runtime.draw import annotate
from runtime.labels import Area, place

PICTURE = (320, 240)


def touch(one: Area, other: Area) -> bool:
    """Also along an edge."""
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    return min(wide, high) >= 0


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ([(50, 50, 150, 120)] * 4, "the same box, such as a bear that is a teddy bear, too"),
        ([(0, 0, 320, 240)] * 3, "all of the picture"),
        ([(300, 0, 320, 30), (310, 220, 320, 240), (0, 230, 9, 240)], "in corners"),
        ([(-5, -5, 400, 300)], "beyond the picture"),
        ([(100, 100, 100, 100), (100, 101, 102, 103)], "hardly a pixel"),
    ],
)
def test_places(boxes: list[tuple[float, float, float, float]], reason: str) -> None:
    areas = [Area(*box) for box in boxes]
    found = place(areas, [(60, 14)] * len(areas), PICTURE)
    check(areas, [area for area in found if area is not None])
    assert None not in found, reason


def check(boxes: list[Area], found: list[Area]) -> None:
    assert not any(one.covers(other) for one, other in itertools.combinations(found, 2))
    for box, area in zip(boxes, found):
        assert min(area.left, area.top) >= 0
        assert area.right <= PICTURE[0] and area.bottom <= PICTURE[1]
        assert touch(box, area)


@pytest.mark.parametrize("seed", range(20))
def test_random_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, 1, (30, 2, 2)), axis=1).reshape(-1, 4) * (*PICTURE, *PICTURE)
    boxes = [Area(*corner) for corner in corners.tolist()]
    found = place(boxes, [(w, 12) for w in rng.uniform(20, 70, 30)], PICTURE)
    kept = [(box, area) for box, area in zip(boxes, found) if area is not None]
    check([box for box, _ in kept], [area for _, area in kept])
    assert found[0] is not None and len(kept) > 15, "the first ones have the choice"


def test_a_label_wider_than_the_picture_is_left_out() -> None:
    assert place([Area(0, 0, 5, 5)], [(400, 10)], PICTURE) == [None]


def test_text_scales_with_the_picture() -> None:
    """It takes the same share of large pictures. Of small ones more, for nobody reads 2 pixels."""

    def share(side: int) -> float:
        box = np.array([[0.5, 0.5, 0.9, 0.9]], np.float32) * side
        found = Detections(box, np.array([0.5], np.float32), np.array([0]))
        drawn = np.asarray(annotate(np.zeros((side, side, 3), np.uint8), found, ["cat"]))
        return float(drawn[: side // 2 - 4].any(-1).mean())

    assert share(1440) == pytest.approx(share(720), rel=0.15)
    assert share(90) > 3 * share(720)
