"""The table of LEAKY_RELU against TensorFlow Lite Micro's arithmetic, and its own kernel."""

from __future__ import annotations

import numpy as np

from quantize.fixed_point import quantize_multiplier
from tests.firmware import cases
from tests.firmware.cases import Runner, Writer


def multiply(value: int, multiplier: int, shift: int) -> int:
    """TensorFlow Lite's MultiplyByQuantizedMultiplier with two roundings."""
    product = value * (1 << max(shift, 0)) * multiplier
    nudge = 1 << 30 if product >= 0 else 1 - (1 << 30)
    high = abs(product + nudge) >> 31  # Division in C: towards zero.
    high = high if product + nudge >= 0 else -high
    exponent = max(-shift, 0)
    mask = (1 << exponent) - 1
    rest, threshold = high & mask, (mask >> 1) + (high < 0)
    return (high >> exponent) + (rest > threshold)


def table(parameters: tuple[int, ...]) -> list[int]:
    """Every value through the reference's formula."""
    from_zero, to_zero, *multipliers = parameters
    found = []
    for q in range(-128, 128):
        value = q - from_zero
        multiplier, shift = multipliers[:2] if value >= 0 else multipliers[2:]
        found.append(min(max(multiply(value, multiplier, shift) + to_zero, -128), 127))
    return found


def random_parameters(rng: np.random.Generator) -> tuple[int, ...]:
    """Of tensors as files have them, and far beyond."""
    ratio = float(np.exp(rng.uniform(-3, 3)))  # Of the scales.
    alpha = rng.choice([0.1, 0.01, 0.25, rng.uniform(0, 1.5)])
    zeros = rng.integers(-128, 128, 2).tolist()
    return (*zeros, *quantize_multiplier(ratio), *quantize_multiplier(ratio * alpha))


def test_ten_thousand_tables(host: Runner) -> None:
    rng, writer = np.random.default_rng(0), Writer()
    every = [random_parameters(rng) for _ in range(10_000)]
    for parameters in every:
        writer.leaky_relu(parameters)
    for answer, parameters in zip(host.run(writer), every, strict=True):
        assert answer.status == cases.OK
        assert np.frombuffer(answer.payload, np.int8).tolist() == table(parameters), parameters


def test_parameters_that_are_none(host: Runner) -> None:
    sound = (0, 0, 1 << 30, 0, 1 << 30, -3)
    changes = {0: -129, 1: 128, 2: -1, 3: 31, 4: -(2**31), 5: -32}
    writer = Writer()
    for place, value in changes.items():
        writer.leaky_relu([value if i == place else v for i, v in enumerate(sound)])
    assert {a.status for a in host.run(writer)} == {cases.BAD_OPTION}
