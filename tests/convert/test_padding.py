"""SAME padding, as TensorFlow's documents work it out."""

from __future__ import annotations

import pytest

from convert.padding import same_padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads", "reason"),
    [
        (10, 3, 1, (1, 1), "as many cells out as in"),
        (320, 3, 2, (0, 1), "an even size: the odd one comes after"),
        (7, 3, 2, (1, 1), "an odd size"),
        (5, 2, 2, (0, 1), "an even kernel"),
        (10, 5, 2, (1, 2), "a wide kernel"),
        (4, 1, 2, (0, 0), "a kernel narrower than its stride needs none"),
    ],
)
def test_same_padding(
    size: int, kernel: int, stride: int, pads: tuple[int, int], reason: str
) -> None:
    assert same_padding(size, kernel, stride) == pads, reason
