"""TensorFlow Lite's fixed-point arithmetic, and the tables that it gives int8 activations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_EVERY = np.arange(-128, 128)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """TensorFlow Lite's QuantizeMultiplier: a fraction in Q0.31 and a power of two."""
    fraction, shift = math.frexp(real)
    fixed = math.floor(fraction * 2**31 + 0.5)
    if fixed == 2**31:
        fixed, shift = fixed // 2, shift + 1
    return (0, 0) if shift < -31 else (fixed, shift)


def multiply(values: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """TensorFlow Lite's MultiplyByQuantizedMultiplier: rounded by 31 bits, then by the rest.

    values: whole numbers that fit 32 bits, also after a shift to the left. Returns int64.
    """
    shifted = values.astype(np.int64) << max(shift, 0)
    high = (shifted * multiplier + (1 << 30)) >> 31
    if shift >= 0:
        return high
    return (high + (1 << (-shift - 1)) - (high < 0)) >> -shift


def leaky_relu_table(parameters: Sequence[int]) -> np.ndarray:
    """int8 (256,): LEAKY_RELU's answer to each int8, from -128 on.

    parameters: zero points of input and output, multiplier and shift from 0 on, those below 0, in
    the order of `nanodet_leaky_relu_params`.
    """
    from_zero, to_zero, *fixed = parameters
    values = _EVERY - from_zero
    above, below = multiply(values, *fixed[:2]), multiply(values, *fixed[2:])
    made = np.where(values >= 0, above, below) + to_zero
    return np.clip(made, -128, 127).astype(np.int8)
