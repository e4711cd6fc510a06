from __future__ import annotations

import numpy as np
import pytest

from runtime.detections import Detections


def test_arrays_must_agree() -> None:
    with pytest.raises(ValueError, match="expected shapes"):
        Detections(np.zeros((2, 4)), np.zeros(3), np.zeros(2))


def test_take_keeps_the_order_given() -> None:
    every = Detections(np.arange(12.0).reshape(3, 4), np.array([0.3, 0.2, 0.1]), np.arange(3))
    some = every.take(np.array([2, 0]))
    assert some.class_id.tolist() == [2, 0]
    assert some.xyxy[0].tolist() == [8, 9, 10, 11]
    assert len(Detections.empty()) == 0
