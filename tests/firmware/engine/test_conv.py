"""The engine's 1x1 convolution, portable and for Cortex-M, against TensorFlow Lite's arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from firmware.engine.pack import Blocks, Packed, Rounding, blocks, pack_conv
from quantize.fixed_point import multiply
from runtime.errors import KitError
from tests.firmware.cases import Runner, View, Writer


@dataclass(frozen=True)
class Layer:
    """A convolution with random weights."""

    weight: np.ndarray
    bias: np.ndarray
    rounding: Rounding
    activation: np.ndarray | None

    @classmethod
    def random(
        cls, rng: np.random.Generator, inputs: int, outputs: int, shifts: tuple[int, int]
    ) -> Layer:
        """shifts: the least and the most, to the left where positive."""
        rounding = Rounding(
            rng.integers(1 << 30, (1 << 31) - 1, outputs),
            rng.integers(shifts[0], shifts[1] + 1, outputs),
            int(rng.integers(-128, 128)),
            int(rng.integers(-128, 128)),
        )
        weight = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
        bias = rng.integers(-(1 << 14), 1 << 14, outputs).astype(np.int32)
        return cls(weight, bias, rounding, rng.integers(-128, 128, 256).astype(np.int8))

    def answer(self, pixels: np.ndarray) -> np.ndarray:
        """int8 (pixels, outputs), as TensorFlow Lite computes it."""
        values = pixels.astype(np.int64) - self.rounding.input_zero_point
        sums = values @ self.weight.T.astype(np.int64) + self.bias
        columns = [
            multiply(sums[:, n], int(m), int(s))
            for n, (m, s) in enumerate(zip(self.rounding.multiplier, self.rounding.shift))
        ]
        found = np.clip(np.stack(columns, 1) + self.rounding.output_zero_point, -128, 127)
        return found.astype(np.int8) if self.activation is None else self.activation[found + 128]

    def packed(
        self, places: Sequence[int] | np.ndarray | None = None, narrow: bool = False
    ) -> tuple[Packed, int, int]:
        """The stream, and the channels that the kernel reads and writes. places: by default one
        channel after another."""
        outputs, inputs = self.weight.shape
        reads = -(-inputs // 4) * 4
        to = np.arange(outputs) if places is None else np.array(places)
        packed = pack_conv(self.weight, self.bias, self.rounding, reads, to, narrow)
        return packed, reads, -(-outputs // 2) * 2


def _pixels(rng: np.random.Generator, count: int, channels: int) -> np.ndarray:
    return rng.integers(-128, 128, (count, channels)).astype(np.int8)


def _ways(reads: int, writes: int, pixels: int, narrow: bool) -> list[Blocks]:
    """The planner's, turns of another length, and the smallest blocks of weights."""
    planned = blocks(reads, writes, (1, pixels), narrow)
    return [planned, replace(planned, turn=5 - planned.turn), Blocks(3, 7, 2)]


_USUAL = (-20, -1)
_CASES = [
    (24, 24, 40, _USUAL, "the first stage of m-0.5x"),
    (24, 58, 7, _USUAL, "the first unit of NanoDet-Plus, whose output is no multiple of 4"),
    (58, 58, 6, _USUAL, "whose input is none either"),
    (464, 96, 4, _USUAL, "the longest sum"),
    (96, 33, 5, _USUAL, "one class and 32 distances"),
    (4, 2, 3, _USUAL, "the smallest"),
    (3, 1, 1, _USUAL, "a single pixel and channel"),
    (52, 5, 1, _USUAL, "a single pixel of many channels, whose number is odd"),
    (100, 6, 9, _USUAL, "turns of two pixels, an odd number of them"),
    (96, 96, 10, _USUAL, "weights in two blocks"),
    (232, 116, 25, _USUAL, "weights in blocks, for part of the pixels at a time"),
    (24, 24, 2, (-22, -22), "the farthest shift of the short way"),
    (24, 24, 5, (-31, -23), "shifts that leave nothing"),
    (24, 24, 5, (-2, 0), "some channel without a shift"),
    (24, 6, 5, (0, 4), "shifts to the left"),
]  # fmt: skip


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("machine", ["host", "m7"])
def test_answers(machine: str, narrow: bool, request: pytest.FixtureRequest) -> None:
    runner: Runner = request.getfixturevalue(machine)
    rng, writer, expected = np.random.default_rng(0), Writer(), []
    for inputs, outputs, pixels, shifts, reason in _CASES:
        for active in (True, False):
            layer = Layer.random(rng, inputs, outputs, shifts)
            layer = layer if active else replace(layer, activation=None)
            packed, reads, writes = layer.packed(range(1, outputs + 1), narrow)
            slack = np.zeros((4, inputs), np.int8)  # Reads go on to whole words.
            source = View(np.vstack([_pixels(rng, pixels, inputs), slack]), [(0, inputs)])
            target = View(_pixels(rng, pixels, outputs + 3), [(1, outputs)])
            ways = _ways(reads, writes, pixels, narrow)
            for how in ways:
                form = packed, reads, writes, how, layer.activation
                writer.conv(*form, [source], target, pixels, narrow=narrow)
            content = target.content.copy()
            content[:, 1 : 1 + outputs] = layer.answer(source.channels[:pixels])
            expected += [(content, reason)] * len(ways)
    for answer, (content, reason) in zip(runner.run(writer), expected, strict=True):
        assert answer.payload == content.tobytes(), reason


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("machine", ["host", "m7"])
def test_runs_and_places(machine: str, narrow: bool, request: pytest.FixtureRequest) -> None:
    """Channels from three buffers in pieces, and back into the first one in place."""
    runner: Runner = request.getfixturevalue(machine)
    rng, writer, expected = np.random.default_rng(1), Writer(), []
    layer = Layer.random(rng, 24, 24, _USUAL)
    places = rng.permutation(30)[:24]
    packed, reads, writes = layer.packed(places, narrow)
    pieces = (
        [[(2, 5), (20, 7)], [(0, 6)], [(8, 1), (1, 3), (5, 2)]],
        [[(2, 4), (20, 8)], [(0, 4)], [(1, 8)]],  # In whole words.
    )
    for runs in pieces:
        sources = [
            View(_pixels(rng, 8, pitch), run) for pitch, run in zip((30, 6, 9), runs, strict=True)
        ]
        for how in _ways(reads, writes, 7, narrow):
            form = packed, reads, writes, how, layer.activation
            writer.conv(*form, sources, sources[0], 7, in_place=True, narrow=narrow)
            made = layer.answer(np.concatenate([view.channels for view in sources], axis=1))
            content = sources[0].content.copy()
            content[:7, places] = made[:7]
            expected.append(content)
    for answer, content in zip(runner.run(writer), expected, strict=True):
        assert answer.payload == content.tobytes()


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("machine", ["host", "m7"])
def test_rows(machine: str, narrow: bool, request: pytest.FixtureRequest) -> None:
    """Several at a time, as a whole and in parts."""
    runner: Runner = request.getfixturevalue(machine)
    rng, writer, expected = np.random.default_rng(4), Writer(), []
    for inputs, outputs, pixels, rows in ((116, 6, 5, 3), (24, 10, 1, 2), (52, 4, 7, 4)):
        layer = Layer.random(rng, inputs, outputs, _USUAL)
        packed, reads, writes = layer.packed(narrow=narrow)
        sources = [
            View(_pixels(rng, pixels + 4, inputs), [(0, 8), (8, inputs - 8)]) for _ in range(rows)
        ]
        target = View(_pixels(rng, rows * pixels, outputs), [(0, outputs)])
        for turn in (2, 3):
            for held in (3, max(pixels, 3)):
                how = Blocks(turn, rows * held, 4, rows)
                form = packed, reads, writes, how, layer.activation
                writer.conv(*form, sources, target, pixels, narrow=narrow)
                made = [layer.answer(source.channels[:pixels]) for source in sources]
                expected.append(np.concatenate(made))
    for answer, content in zip(runner.run(writer), expected, strict=True):
        assert answer.payload == content.tobytes()


@pytest.mark.parametrize(
    ("inputs", "outputs", "pixels", "most"),
    [(24, 24, 40, 1.2), (48, 48, 40, 0.91), (96, 96, 20, 0.77), (232, 232, 10, 0.71)],
)
def test_instructions(m7: Runner, inputs: int, outputs: int, pixels: int, most: float) -> None:
    """per multiplication: what the cost model and the README's table stand on."""
    rng, writer = np.random.default_rng(2), Writer()
    layer = Layer.random(rng, inputs, outputs, _USUAL)
    packed, reads, writes = layer.packed()
    source = View(_pixels(rng, pixels, inputs), [(0, inputs)])
    target = View(np.zeros((pixels, outputs), np.int8), [(0, outputs)])
    how = blocks(reads, writes, (1, pixels))
    writer.conv(packed, reads, writes, how, layer.activation, [source], target, pixels)
    (answer,) = m7.run(writer)
    found = answer.instructions / (pixels * inputs * outputs)
    print(f"{inputs}->{outputs}: {found:.3f}")
    assert found < most


def test_a_sum_that_does_not_fit() -> None:
    layer = Layer.random(np.random.default_rng(3), 4, 2, (-3, -1))
    with pytest.raises(KitError, match="does not fit"):
        replace(layer, bias=np.array([1 << 30, 0], np.int64)).packed()
