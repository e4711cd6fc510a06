from __future__ import annotations

import numpy as np
import pytest

from convert.parity import first_unmatched, largest_difference


def test_largest_difference() -> None:
    a = {"x": np.zeros(3), "y": np.ones(2)}
    b = {"x": np.array([0, -0.5, 0]), "y": np.ones(2), "z": np.ones(1)}
    assert largest_difference(a, b) == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_no_match(bad: float) -> None:
    assert largest_difference({"x": np.zeros(2)}, {"x": np.array([0, bad])}) == np.inf


@pytest.mark.parametrize(
    ("broken", "expected"),
    [(None, None), (0, "first"), (1, "second"), (2, "third")],
)
def test_first_unmatched_names_the_layer(broken: int | None, expected: str | None) -> None:
    rng = np.random.default_rng(0)
    tensors = [rng.normal(size=(1, 4, 4, 8)) for _ in range(3)]
    candidates = [t.copy() for t in tensors[::-1]] + [np.zeros(5)]
    if broken is not None:
        candidates[2 - broken] += 0.01
    layers = list(zip(["first", "second", "third"], tensors))
    assert first_unmatched(layers, candidates) == expected
