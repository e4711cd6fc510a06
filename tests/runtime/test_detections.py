from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from runtime.detections import Detections


def test_arrays_must_agree() -> None:
    with pytest.raises(ValueError, match="expected shapes"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(3, np.float32), np.zeros(2, np.int64))


def test_take_keeps_the_order_given() -> None:
    every = Detections(np.arange(12.0).reshape(3, 4), np.array([0.3, 0.2, 0.1]), np.arange(3))
    some = every.take(np.array([2, 0]))
    assert some.class_id.tolist() == [2, 0]
    assert some.xyxy[0].tolist() == [8, 9, 10, 11]
    assert len(Detections.empty()) == 0


FOUND = Detections(
    np.array([[1.0, 2, 11, 22], [0, 0, 4, 5.5]], np.float32),
    np.array([0.75, 0.5], np.float32),
    np.array([2, 0]),
    ("cat", "dog", "bird"),
)


@pytest.mark.parametrize(
    ("other", "expected", "reason"),
    [
        (FOUND, True, "copies"),
        (FOUND.take(np.array([1, 0])), False, "another order"),
        (FOUND.take(np.array([0])), False, "fewer"),
        (Detections.empty(), False, "none"),
        (dataclasses.replace(FOUND, xyxy=FOUND.xyxy + 1), False, "other boxes"),
        (dataclasses.replace(FOUND, confidence=FOUND.confidence / 2), False, "other scores"),
        (dataclasses.replace(FOUND, class_id=FOUND.class_id[::-1]), False, "other classes"),
        (dataclasses.replace(FOUND, class_names=("a", "b", "c")), False, "other names"),
        ("bird", False, "no detections"),
        (None, False, "nothing"),
    ],
)
def test_equality(other: object, expected: bool, reason: str) -> None:
    found = FOUND.take(np.array([0, 1]))
    assert (found == other) is expected, reason
    assert (other == found) is expected, reason
    assert (found != other) is not expected, reason


def test_nothing_equals_nothing() -> None:
    assert Detections.empty() == Detections.empty()
    with pytest.raises(TypeError, match="unhashable"):
        hash(FOUND)


def test_names() -> None:
    assert FOUND.class_name == ["bird", "cat"]
    assert FOUND.take(np.array([1])).class_name == ["cat"]


@pytest.mark.parametrize(
    ("category_ids", "expected", "reason"),
    [
        (None, [2, 0], "the class's index"),
        ((17, 18, 16), [16, 17], "as the set numbers them"),
        ((17, 18, None), [17], "the set does not know birds"),
    ],
)
def test_to_coco(category_ids: list[int | None], expected: list[int], reason: str) -> None:
    results = FOUND.to_coco(7, category_ids)
    assert [r["category_id"] for r in results] == expected, reason
    assert results[-1] == {
        "image_id": 7, "category_id": expected[-1], "bbox": [0.0, 0.0, 4.0, 5.5], "score": 0.5,
    }  # fmt: skip


def test_to_json() -> None:
    first, second = json.loads(FOUND.to_json())
    assert first == {
        "xyxy": [1.0, 2.0, 11.0, 22.0], "confidence": 0.75, "class_id": 2, "class_name": "bird",
    }  # fmt: skip
    assert second["class_name"] == "cat"
    assert json.loads(Detections.empty().to_json()) == []
