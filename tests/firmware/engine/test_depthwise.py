"""The engine's depthwise convolution, portable and for Cortex-M, against TensorFlow Lite's
arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from firmware.engine.pack import Rounding, pack_depthwise
from quantize.fixed_point import multiply
from tests.firmware.cases import Runner, Writer


def answer(
    image: np.ndarray, weight: np.ndarray, bias: np.ndarray, rounding: Rounding, stride: int
) -> np.ndarray:
    """int8, with SAME padding."""
    kernel = len(weight)
    height, width, channels = image.shape
    shape = -(-height // stride), -(-width // stride)
    before, span = padding(image.shape, kernel, stride), kernel + stride
    values = np.zeros((height + 2 * span, width + 2 * span, channels), np.int64)
    inside = image.astype(np.int64) - rounding.input_zero_point
    values[before[0] : before[0] + height, before[1] : before[1] + width] = inside
    sums = np.zeros((*shape, channels), np.int64) + bias
    for y in range(kernel):
        for x in range(kernel):
            part = values[y : y + stride * shape[0] : stride, x : x + stride * shape[1] : stride]
            sums += part * weight[y, x].astype(np.int64)
    rules = zip(rounding.multiplier, rounding.shift, strict=True)
    made = [multiply(sums[..., c], int(m), int(s)) for c, (m, s) in enumerate(rules)]
    found = np.stack(made, -1) + rounding.output_zero_point
    return np.clip(found, -128, 127).astype(np.int8)


def padding(shape: tuple[int, ...], kernel: int, stride: int) -> tuple[int, int]:
    """Above and at the left, as TensorFlow pads SAME."""
    above, left = (
        max((-(-side // stride) - 1) * stride + kernel - side, 0) // 2 for side in shape[:2]
    )
    return above, left


_USUAL = (-14, -3)
_CASES = [
    (40, 40, 24, 3, 1, _USUAL, "a unit of m-0.5x"),
    (20, 20, 6, 3, 2, _USUAL, "between stages, whose channels are no multiple of 4"),
    (5, 5, 8, 3, 1, _USUAL, "an odd map"),
    (3, 3, 4, 3, 2, _USUAL, "a smaller one"),
    (1, 1, 3, 3, 1, _USUAL, "a single pixel"),
    (10, 10, 9, 5, 1, _USUAL, "NanoDet-Plus"),
    (10, 7, 5, 5, 2, _USUAL, "between its strides, an odd width"),
    (5, 5, 4, 5, 1, _USUAL, "a map as large as the kernel"),
    (2, 3, 4, 5, 1, _USUAL, "a smaller map than the kernel"),
    (8, 8, 4, 4, 2, _USUAL, "an even kernel"),
    (9, 6, 4, 4, 1, _USUAL, "an even kernel, every position"),
    (6, 6, 5, 3, 1, (-31, 3), "any shift"),
]  # fmt: skip


@pytest.mark.parametrize("machine", ["host", "m7"])
def test_answers(machine: str, request: pytest.FixtureRequest) -> None:
    runner: Runner = request.getfixturevalue(machine)
    rng, writer, expected = np.random.default_rng(0), Writer(), []
    for height, width, channels, kernel, stride, shifts, reason in _CASES:
        for active in (True, False):
            rounding = Rounding(
                rng.integers(1 << 30, (1 << 31) - 1, channels),
                rng.integers(shifts[0], shifts[1] + 1, channels),
                int(rng.integers(-128, 128)),
                int(rng.integers(-128, 128)),
            )
            weight = rng.integers(-127, 128, (kernel, kernel, channels)).astype(np.int8)
            bias = rng.integers(-(1 << 12), 1 << 12, channels).astype(np.int32)
            image = rng.integers(-128, 128, (height, width, channels)).astype(np.int8)
            table = rng.integers(-128, 128, 256).astype(np.int8) if active else None
            packed = pack_depthwise(weight, bias, rounding, stride)
            shape = -(-height // stride), -(-width // stride)
            before = padding(image.shape, kernel, stride)
            pitches = channels + 1, channels + 2
            zero = rounding.input_zero_point
            writer.depthwise(packed, (kernel, stride), zero, table, image, shape, before, pitches)
            made = answer(image, weight, bias, rounding, stride)
            wanted = np.zeros((*shape, channels + 2), np.int8)
            wanted[..., :channels] = made if table is None else table[made.astype(int) + 128]
            expected.append((wanted, reason))
    for found, (wanted, reason) in zip(runner.run(writer), expected, strict=True):
        assert found.payload == wanted.tobytes(), reason


@pytest.mark.parametrize(
    ("side", "channels", "kernel", "stride", "most"),
    [(40, 24, 3, 1, 22), (80, 24, 3, 2, 35), (40, 96, 5, 1, 38), (40, 96, 5, 2, 73)],
)
def test_instructions(
    m7: Runner, side: int, channels: int, kernel: int, stride: int, most: float
) -> None:
    """For each output: what the cost model and README's table stand on."""
    rng, writer = np.random.default_rng(2), Writer()
    rounding = Rounding(np.full(channels, 1 << 30), np.full(channels, -9), 3, -5)
    weight = rng.integers(-127, 128, (kernel, kernel, channels)).astype(np.int8)
    image = rng.integers(-128, 128, (side, side, channels)).astype(np.int8)
    packed = pack_depthwise(weight, np.zeros(channels, np.int32), rounding, stride)
    shape = side // stride, side // stride
    before, table = padding(image.shape, kernel, stride), np.arange(-128, 128).astype(np.int8)
    form, pitches = (kernel, stride), (channels, channels)
    writer.depthwise(packed, form, 3, table, image, shape, before, pitches)
    (found,) = m7.run(writer)
    each = found.instructions / (shape[0] * shape[1] * channels)
    print(f"{kernel}x{kernel} stride {stride}: {each:.1f}")
    assert each < most
