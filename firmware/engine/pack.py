"""Weights in the order in which the C library's kernels read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firmware.engine.turns import fewest_cycles
from runtime.errors import KitError

# Of the shifts to the right that the short way of requantizing rounds exactly.
LEAST_SHIFT, MOST_SHIFT = 1, 22
_PARAMETERS = 6
_HALF_CACHE_BYTES = 16384  # Of the D-cache of i.MX RT1050 to RT1170.
_HELD_BYTES = 8192  # Of pixels at 16 bits, at most.
_HELD_WINDOW_BYTES = 24576  # Of windows, which have many weights for each pixel.
_WIDENED_BYTES = 4096  # Of a block of int8 weights at 16 bits, at most.
_FEW = 24  # Pixels that are held for weights that the D-cache keeps.
_MOST_ROWS = 4  # NANODET_CONV_MAX_ROWS.


# Bytes of a window of three rows of nine, in the order in which the image's kernel reads them.
IMAGE_ORDER = (*range(8), *range(9, 17), *range(18, 26), 8, 26, 17)
GREY_ORDER = range(9)


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


@dataclass(frozen=True)
class Blocks:
    """How a convolution goes about its pixels: `turn` at a time, `pixels` of `rows` for each
    `block` of output channels. See `nanodet_conv`."""

    turn: int
    pixels: int
    block: int
    rows: int = 1

    def parts(self, width: int) -> int:
        """In which a row is held."""
        return -(-width // (self.pixels // self.rows))


def conv_words(inputs: int, outputs: int, narrow: bool = False) -> int:
    """Of the stream of a convolution with so many channels, outputs in pairs."""
    return outputs // 2 * (2 + (inputs // 2 if narrow else inputs) + _PARAMETERS)


def depthwise_words(kernel: int, stride: int) -> int:
    """Of a channel's stream."""
    weights = kernel * (kernel - 1) if stride == 1 else (kernel * kernel + 1) // 2
    return 1 + _PARAMETERS // 2 + weights


def blocks(
    inputs: int, outputs: int, size: tuple[int, int], narrow: bool = False, window: bool = False
) -> Blocks:
    """Weights that exceed half the D-cache are read in blocks, each for as many pixels as may be
    held; narrow ones always are, for they are widened into scratch memory.

    inputs, outputs: channels that the kernel reads and writes. size: rows, and pixels of a row.
    window: inputs are those of a square of pixels.
    """
    height, width = size
    turn = fewest_cycles(inputs, outputs, width)
    small = not narrow and 4 * conv_words(inputs, outputs) <= _HALF_CACHE_BYTES
    most = (_HELD_WINDOW_BYTES if window else _HELD_BYTES) // (2 * inputs)
    parts = -(-width // max(min(most, _FEW if small else most) // turn * turn, turn))
    held = max(min(-(-width // (parts * turn)) * turn, width), 3)
    if small:
        return Blocks(turn, held, outputs)
    rows = 1 if window else min(max(most // held, 1), height, _MOST_ROWS)
    most = _WIDENED_BYTES if narrow or window else _HALF_CACHE_BYTES
    block = max(most // (4 * conv_words(inputs, 2)), 1)
    return Blocks(turn, rows * held, min(2 * block, outputs), rows)


def pack_conv(
    weight: np.ndarray,
    bias: np.ndarray,
    rounding: Rounding,
    inputs: int,
    places: np.ndarray,
    narrow: bool = False,
) -> Packed:
    """The stream of a convolution.

    weight: int8 (outputs, inputs), the inputs in the order in which the kernel reads them. bias:
    int32 (outputs,). inputs: channels that the kernel reads, a multiple of 4, at least the layer's.
    places: int (outputs,), the byte of a pixel that each channel goes to. narrow: weights take a
    byte each.
    """
    outputs, given = weight.shape
    pairs = -(-outputs // 2)
    whole, biases = np.zeros((2 * pairs, inputs), np.int64), np.zeros(2 * pairs, np.int64)
    settled = _settled(weight, bias, rounding)
    own = np.arange(outputs)
    own[-1] = 2 * pairs - 1  # Of an odd number, the one before the last is nobody's.
    whole[own, :given], biases[own], rules, any_shift = settled
    padded_rules = np.zeros((2 * pairs, 3), np.int64)
    padded_rules[-2:, 2] = LEAST_SHIFT | places[-1] << 8  # It is overwritten by the last.
    rules[:, 2] = (rules[:, 2] & 0xFF) | places << 8
    padded_rules[own] = rules
    if narrow:
        words = whole.astype(np.int8).view("<i4").reshape(pairs, inputs // 2).astype(np.int64)
    else:
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
    flat, biases, rules, any_shift = _settled(weight.reshape(-1, channels).T, bias, rounding)
    doubled = np.zeros((channels, kernel, kernel + 1), np.int64)  # Channel, column, row.
    doubled[..., :kernel] = 2 * flat.reshape(channels, kernel, kernel).transpose(0, 2, 1)
    if stride == 1:
        first = np.arange(kernel - 1)
        low, high = doubled[..., first], doubled[..., first + 1]
    else:
        places = _leaps(kernel)
        low, high = (doubled[:, places[..., i, 0], places[..., i, 1]] for i in range(2))
    words = ((low & 0xFFFF) | high << 16).reshape(channels, -1)
    stream = np.concatenate([biases[:, None], rules, words], axis=1)
    return Packed(_as_int32(stream.ravel()), any_shift)


def _leaps(kernel: int) -> np.ndarray:
    """int (words, 2 halves, 2): column and row of a kernel of stride 2, row `kernel` for none.

    Pairs of rows of a column, the last of an odd number of rows of two columns, and pairs of rows
    of the next column.
    """
    whole, found = range(0, kernel - 1, 2), []
    for column in range(0, kernel, 2):
        found += [((column, row), (column, row + 1)) for row in whole]
        if kernel % 2:
            beside = (column + 1, kernel - 1) if column + 1 < kernel else (column, kernel)
            found.append(((column, kernel - 1), beside))
        if column + 1 < kernel:
            found += [((column + 1, row), (column + 1, row + 1)) for row in whole]
    return np.array(found)


def _settled(
    weight: np.ndarray, bias: np.ndarray, rounding: Rounding
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Weights and doubled biases of the channels that depend on their input, and how each is
    rounded; whether any needs the long way.

    weight: (outputs, inputs). Returns int64 weights, int64 biases with the input's zero point in
    them, (outputs, 3): multiplier, offset and shift to the right. Raises `KitError` where a doubled
    sum might not fit 32 bits.
    """
    weight, doubled = weight.astype(np.int64), bias.astype(np.int64)
    zero = rounding.input_zero_point
    by_input = np.stack([weight * (-128 - zero), weight * (127 - zero)])
    least, most = by_input.min(0).sum(1) + doubled, by_input.max(0).sum(1) + doubled
    rules, any_shift = np.zeros((len(bias), 3), np.int64), False
    weight, doubled = weight.copy(), 2 * (doubled - zero * weight.sum(1))
    for n, (multiplier, shift) in enumerate(
        zip(rounding.multiplier.tolist(), rounding.shift.tolist(), strict=True)
    ):
        ends = [
            _rounded(int(end), multiplier, shift) + rounding.output_zero_point
            for end in (least[n], most[n])
        ]
        if ends[0] == ends[1]:  # Whatever the input is.
            weight[n], doubled[n] = 0, 0
            constant = min(max(ends[0], -128), 127)
            rules[n] = 0, 1 + 2 * constant, LEAST_SHIFT
            continue
        if max(-least[n], most[n]) >= 1 << 30:
            raise KitError("a sum does not fit the engine's 31 bits; use --engine tflm")
        rules[n] = pack_rule(multiplier, shift, rounding.output_zero_point)
        any_shift |= not LEAST_SHIFT <= -shift <= MOST_SHIFT
    return weight, doubled, rules, any_shift


def _rounded(value: int, multiplier: int, shift: int) -> int:
    """TensorFlow Lite's MultiplyByQuantizedMultiplier, of numbers of any size."""
    value = min(max(value << max(shift, 0), -(1 << 31)), (1 << 31) - 1)
    high = (value * multiplier + (1 << 30)) >> 31
    if shift >= 0:
        return high
    return (high + (1 << (-shift - 1)) - (high < 0)) >> -shift


def _as_int32(values: np.ndarray) -> np.ndarray:
    """The lower 32 bits."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def pack_rule(multiplier: int, shift: int, zero_point: int) -> tuple[int, int, int]:
    """Multiplier, offset and shift of a doubled sum, as `nanodet_requantize` takes them."""
    right = -shift
    if not LEAST_SHIFT <= right <= MOST_SHIFT:
        return multiplier, zero_point, right
    return multiplier, (1 << (right - 1)) + (zero_point << right), right
