"""Weights in the order in which the C library's kernels read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.errors import KitError

# Of the shifts to the right that the short way of requantizing rounds exactly.
LEAST_SHIFT, MOST_SHIFT = 1, 22
_PARAMETERS = 6


@dataclass(frozen=True)
class Rounding:
    """From a layer's sums to int8, one entry per output channel.

    multiplier: in Q0.31. shift: to the left where positive, as TensorFlow Lite has it.
    """

    multiplier: np.ndarray
    shift: np.ndarray
    input_zero_point: int
    output_zero_point: int


@dataclass(frozen=True)
class Packed:
    """stream: int32, see `nanodet/kernels.h`. any_shift: some channel needs the long way."""

    stream: np.ndarray
    any_shift: bool


def pack_conv(weight: np.ndarray, bias: np.ndarray, rounding: Rounding, inputs: int) -> Packed:
    """The stream of a 1x1 convolution.

    weight: int8 (outputs, inputs), in the order in which the channels lie in memory. bias: int32
    (outputs,). inputs: channels that the kernel reads, a multiple of 4, at least the layer's.
    """
    outputs, given = weight.shape
    pairs = -(-outputs // 2)
    whole = np.zeros((2 * pairs, inputs), np.int64)
    whole[:outputs, :given] = weight
    rules, any_shift = _rules(whole[:outputs], bias, rounding)
    biases = np.zeros(2 * pairs, np.int64)
    biases[:outputs] = _doubled_biases(whole[:outputs], bias, rounding)
    padded_rules = np.zeros((2 * pairs, 3), np.int64)
    padded_rules[:, 2] = LEAST_SHIFT
    padded_rules[:outputs] = rules
    # (pair, channel of two, four of inputs, low or high half, even or odd pair)
    halves = 2 * whole.reshape(pairs, 2, inputs // 4, 2, 2)
    words = (halves[:, :, :, 0] & 0xFFFF) | halves[:, :, :, 1] << 16
    words = words.transpose(0, 2, 3, 1).reshape(pairs, inputs)
    stream = np.concatenate(
        [biases.reshape(pairs, 2), words, padded_rules.reshape(pairs, _PARAMETERS)], axis=1
    )
    return Packed(_as_int32(stream.ravel()), any_shift)


def pack_depthwise(weight: np.ndarray, bias: np.ndarray, rounding: Rounding, stride: int) -> Packed:
    """The stream of a depthwise convolution.

    weight: int8 (kernel, kernel, channels). bias: int32 (channels,).
    """
    kernel, _, channels = weight.shape
    flat = weight.reshape(-1, channels).T
    rules, any_shift = _rules(flat, bias, rounding)
    doubled = np.zeros((channels, kernel, kernel + 1), np.int64)  # Channel, column, row.
    doubled[..., :kernel] = 2 * weight.astype(np.int64).transpose(2, 1, 0)
    first = np.arange(0, kernel - 1) if stride == 1 else np.arange(0, kernel, 2)
    words = (doubled[..., first] & 0xFFFF) | doubled[..., first + 1] << 16
    biases = _doubled_biases(flat, bias, rounding)
    stream = np.concatenate([biases[:, None], rules, words.reshape(channels, -1)], axis=1)
    return Packed(_as_int32(stream.ravel()), any_shift)


def _doubled_biases(weight: np.ndarray, bias: np.ndarray, rounding: Rounding) -> np.ndarray:
    """With the input's zero point in them."""
    sums = weight.astype(np.int64).sum(1)
    result: np.ndarray = 2 * (bias.astype(np.int64) - rounding.input_zero_point * sums)
    return result


def _rules(weight: np.ndarray, bias: np.ndarray, rounding: Rounding) -> tuple[np.ndarray, bool]:
    """(outputs, 3): multiplier, offset and shift to the right; whether any needs the long way.

    Raises `KitError` where a doubled sum might not fit 32 bits.
    """
    # The largest sums: the input less its zero point is within -255..255.
    magnitude = np.abs(weight.astype(np.int64)).sum(1) * 255 + np.abs(bias.astype(np.int64))
    if (most := int(magnitude.max(initial=0))) >= 1 << 30:
        raise KitError(f"a sum of {most:,} does not fit the engine's 31 bits; use --engine tflm")
    right = -rounding.shift.astype(np.int64)
    multiplier = rounding.multiplier.astype(np.int64)
    zero = rounding.output_zero_point
    # A shift that leaves nothing of any sum: the channel is constant.
    constant = (right > MOST_SHIFT) & (magnitude < 1 << np.clip(right - 1, 0, 40))
    short = constant | ((right >= LEAST_SHIFT) & (right <= MOST_SHIFT))
    multiplier = np.where(constant, 0, multiplier)
    right = np.where(constant, LEAST_SHIFT, right)
    offset = np.where(
        short, (1 << np.clip(right - 1, 0, 40)) + (zero << np.clip(right, 0, 40)), zero
    )
    return np.stack([multiplier, offset, right], axis=1), bool((~short).any())


def _as_int32(values: np.ndarray) -> np.ndarray:
    """The lower 32 bits."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
