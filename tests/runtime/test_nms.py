from __future__ import annotations

import numpy as np
import pytest

from runtime.detections import Detections
from runtime.nms import box_iou, nms_per_class


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def brute_force(candidates: Detections, threshold: float) -> list[int]:
    """Greedy suppression in plain loops."""
    order = sorted(range(len(candidates)), key=lambda i: (-candidates.confidence[i], i))
    kept: list[int] = []
    for i in order:
        clash = any(
            candidates.class_id[i] == candidates.class_id[j]
            and iou(candidates.xyxy[i], candidates.xyxy[j]) > threshold
            for j in kept
        )
        if not clash:
            kept.append(i)
    return kept


def random_candidates(seed: int, n: int = 120) -> Detections:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (n, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(0, 40, (n, 2))], 1).astype(np.float32)
    confidence = rng.integers(1, 30, n).astype(np.float32) / 30  # many equal scores
    return Detections(xyxy, confidence, rng.integers(0, 3, n))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 1.0])
def test_against_brute_force(seed: int, threshold: float) -> None:
    candidates = random_candidates(seed)
    expected = candidates.take(np.array(brute_force(candidates, threshold)))
    found = nms_per_class(candidates, threshold, 1000)
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)
    np.testing.assert_array_equal(found.class_id, expected.class_id)


def test_limit_keeps_the_best() -> None:
    candidates = random_candidates(9)
    every = nms_per_class(candidates, 0.6, 1000)
    best = nms_per_class(candidates, 0.6, 7)
    np.testing.assert_array_equal(best.confidence, every.confidence[:7])


def test_nothing_in_nothing_out() -> None:
    assert len(nms_per_class(Detections.empty(), 0.6, 100)) == 0


@pytest.mark.parametrize(
    ("a", "b", "expected", "reason"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 1.0, "the same box"),
        ([0, 0, 10, 10], [10, 0, 20, 10], 0.0, "touching"),
        ([0, 0, 10, 10], [5, 0, 15, 10], 1 / 3, "half shifted"),
        ([0, 0, 10, 10], [2, 2, 4, 4], 0.04, "inside"),
        ([5, 5, 5, 5], [5, 5, 5, 5], 0.0, "no area"),
        ([8, 8, 2, 2], [0, 0, 10, 10], 0.0, "corners swapped"),
    ],
)
def test_iou(a: list[float], b: list[float], expected: float, reason: str) -> None:
    found = box_iou(np.array([a], np.float32), np.array([b], np.float32))
    assert found[0, 0] == pytest.approx(expected), reason
