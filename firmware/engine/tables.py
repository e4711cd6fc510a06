"""Activations as tables: int8 (256,), what becomes of each int8 from -128 on, bit for bit as
TensorFlow Lite Micro computes it."""

from __future__ import annotations

import numpy as np

from quantize.fixed_point import leaky_relu_table, multiply, quantize_multiplier
from runtime.tflite_graph import Tensor

_EVERY = np.arange(-128, 128)
_HIGHEST = 2**15 - 1
_FINER = 128  # Parts of an input's step in which a hard swish counts.


def clamp(tensor: Tensor, most: float) -> np.ndarray | None:
    """Values from 0 to `most` of a tensor's scale; None where its int8 values are no others."""
    scale, zero = tensor.scales[0], tensor.zero_points[0]
    largest = zero + int(min(most / scale, 255) + 0.5)
    table = np.clip(_EVERY, zero, min(largest, 127)).astype(np.int8)
    return None if (table == _EVERY).all() else table


def relu(source: Tensor, target: Tensor) -> np.ndarray:
    """RELU between two scales."""
    zero = target.zero_points[0]
    rule = quantize_multiplier(float(np.float32(source.scales[0])) / target.scales[0])
    values = multiply(_EVERY - source.zero_points[0], *rule) + zero
    return np.clip(values, max(zero, -128), 127).astype(np.int8)


def leaky_relu(source: Tensor, target: Tensor, alpha: float) -> np.ndarray:
    """LEAKY_RELU with such a slope below 0."""
    one, other = (float(np.float32(t.scales[0])) for t in (source, target))
    rules = quantize_multiplier(one / other), quantize_multiplier(one * alpha / other)
    zeros = source.zero_points[0], target.zero_points[0]
    return leaky_relu_table((*zeros, *rules[0], *rules[1]))


def hard_swish(source: Tensor, target: Tensor) -> np.ndarray:
    """HARD_SWISH, in 16 bits: x times relu6(x + 3) / 6, which is taken for a number from -1 to 1 of
    x / 3, moved to 0 to 1."""
    finer = np.float32(source.scales[0]) * np.float32(1 / _FINER)
    x = (_EVERY - source.zero_points[0]) * _FINER
    scaled, exponent = _sixteen(finer / np.float32(target.scales[0]))
    product = _doubling_high(x, scaled)
    third, left = _sixteen(finer / np.float32(3 / 2**15))
    share = x
    if left > 0:
        share = _saturated(share << (left - 1))
    share = _doubling_high(share, third)
    share = _saturated(share << 1) if left > 0 else _halved(share, -left)
    share = (share + 2**15) >> 1
    both = np.trunc(share * product / 2**15).astype(np.int64)
    values = _halved(both, -exponent) + target.zero_points[0]
    return np.clip(values, -128, 127).astype(np.int8)


def _sixteen(real: np.floating) -> tuple[int, int]:
    """A multiplier in Q0.15, and its power of two."""
    fixed, exponent = quantize_multiplier(float(real))
    return min((fixed + 2**15) >> 16, _HIGHEST), exponent


def _doubling_high(values: np.ndarray, other: int) -> np.ndarray:
    """Products in Q0.15, ties upwards."""
    return (values * other + 2**14) >> 15


def _saturated(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -(2**15), _HIGHEST)


def _halved(values: np.ndarray, times: int) -> np.ndarray:
    """Divided by a power of two, ties away from 0."""
    return (values + ((1 << times) >> 1) - (values < 0) * (times > 0)) >> times
