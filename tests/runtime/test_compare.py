from __future__ import annotations

import numpy as np

from runtime.compare import describe_detections, describe_outputs, shared
from runtime.detections import Detections


def detections(*found: tuple[int, float]) -> Detections:
    """Class and left edge of boxes of 10 x 10."""
    xyxy = np.array([(x, 0, x + 10, 10) for _, x in found], np.float32).reshape(-1, 4)
    class_id = np.array([c for c, _ in found], np.int64)
    return Detections(xyxy, np.ones(len(found), np.float32), class_id, ("a", "b"))


def test_outputs() -> None:
    one = {"x": np.array([-128, 0], np.int8), "y": np.array([5], np.int8)}
    other = {"y": np.array([6], np.int8), "x": np.array([127, 0], np.int8)}
    said = describe_outputs(one, other)
    assert said == "outputs differ by 255 at most, 64.25 in the mean", "int8 does not wrap"


def test_detections() -> None:
    one, other = detections((0, 0), (0, 50), (1, 99)), detections((0, 1), (1, 50), (1, 99))
    assert shared(one, other) == 2, "one box has another class"
    assert shared(one, detections((0, 3))) == 0, "too far away"
    assert describe_detections(one, detections()) == "3 and 0 detections, 0 in both"
