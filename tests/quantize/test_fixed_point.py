"""Fixed-point arithmetic against TensorFlow Lite's formulas written out for one number."""

from __future__ import annotations

import numpy as np
import pytest

from quantize.fixed_point import leaky_relu_table, multiply, quantize_multiplier
from tests.firmware.test_leaky_relu import multiply as multiply_one
from tests.firmware.test_leaky_relu import random_parameters, table


@pytest.mark.parametrize(
    ("real", "expected", "reason"),
    [
        (1.0, (1 << 30, 1), "a whole number is a half, shifted to the left"),
        (0.5, (1 << 30, 0), "a half needs no shift"),
        (1 - 2.0**-40, (1 << 30, 1), "what rounds up to one is a half again"),
        (2.0**-40, (0, 0), "what is too small to shift is nothing"),
        (0.0, (0, 0), "nothing stays nothing"),
    ],
)
def test_quantize_multiplier(real: float, expected: tuple[int, int], reason: str) -> None:
    assert quantize_multiplier(real) == expected, reason


def test_multiply() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.arange(-300, 300), rng.integers(-(1 << 20), 1 << 20, 300)])
    for shift in (-31, -20, -3, -1, 0, 1, 8):
        for multiplier in (1 << 30, (1 << 31) - 1, int(rng.integers(1 << 30, 1 << 31))):
            expected = [multiply_one(int(v), multiplier, shift) for v in values]
            assert multiply(values, multiplier, shift).tolist() == expected, (multiplier, shift)


def test_leaky_relu_table() -> None:
    rng = np.random.default_rng(1)
    for parameters in (random_parameters(rng) for _ in range(200)):
        assert leaky_relu_table(parameters).tolist() == table(parameters), parameters
