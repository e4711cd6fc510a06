"""Strips of rows: whole again where that computes the same, and left alone elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.engine.reader import read_layers
from firmware.engine.strips import without_strips
from quantize import flatbuffer
from quantize.rewrites import strips
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph, unpack
from tests.analysis.tflite import Maker
from tests.conftest import Build
from tests.firmware.engine.test_network import pairs

_WIDTH, _CHANNELS, _STRIDE = 8, 4, 2
Rows = tuple[int, int]  # First, and behind the last.


class Strips:
    """A convolution, an activation and a pool of an image, in strips. read: rows of the image that
    each reads. kept: rows of the pool's output of each that are joined."""

    def __init__(self, height: int, read: Sequence[Rows], kept: Sequence[Rows]) -> None:
        self.maker = Maker(1, height, _WIDTH, 3, scale=0.02, zero=-7)
        rng = np.random.default_rng(0)
        shape = _CHANNELS, 3, 3, 3
        weight, scales = rng.integers(-127, 128, shape), [0.002] * _CHANNELS
        self.maker.tensor("weight", shape, "INT8", scales, values=weight)
        self.maker.tensor("bias", (_CHANNELS,), "INT32", [0.00004] * _CHANNELS, values=[5, 4, 3, 2])
        parts = [self._strip(n, *both) for n, both in enumerate(zip(read, kept, strict=True))]
        rows = sum(end - first for first, end in kept)
        options = schema.ConcatenationOptionsT()
        options.axis = 1
        self._tensor("joined", rows, _WIDTH // 4)
        self.maker.add("CONCATENATION", parts, "joined", options)
        self.content = flatbuffer.serialize(self.maker.model)

    def _tensor(self, name: str, rows: int, width: int, channels: int = _CHANNELS) -> str:
        scale, zero = (0.02, -7) if channels == 3 else (0.05, 3)
        self.maker.tensor(name, (1, rows, width, channels), scales=(scale,), zero=zero)
        return name

    def _strip(self, number: int, read: Rows, kept: Rows) -> str:
        rows = read[1] - read[0]
        name = self._slice("input", read, f"read_{number}", _WIDTH, 3)
        for kind, width in (("CONV_2D", _WIDTH // 2), ("MAX_POOL_2D", _WIDTH // 4)):
            rows = -(-rows // _STRIDE)
            made = self._tensor(f"{kind}_{number}", rows, width)
            convolves = kind == "CONV_2D"
            options = schema.Conv2DOptionsT() if convolves else schema.Pool2DOptionsT()
            options.strideH = options.strideW = _STRIDE
            if not convolves:
                options.filterHeight = options.filterWidth = 3
            constants = ["weight", "bias"] if convolves else []
            self.maker.add(kind, [name, *constants], made, options)
            name = made
            if convolves:
                leaky = schema.LeakyReluOptionsT()
                leaky.alpha = 0.1
                name = self._tensor(f"active_{number}", rows, width)
                self.maker.add("LEAKY_RELU", [made], name, leaky)
        if kept == (0, rows):
            return name
        return self._slice(name, kept, f"kept_{number}", _WIDTH // 4, _CHANNELS)

    def _slice(self, source: str, rows: Rows, name: str, width: int, channels: int) -> str:
        shape = 1, rows[1] - rows[0], width, channels
        for part, values in (("begin", (0, rows[0], 0, 0)), ("size", shape)):
            self.maker.tensor(f"{name}_{part}", (4,), "INT32", (), values=values)
        self._tensor(name, shape[1], width, channels)
        self.maker.add(
            "SLICE", [source, f"{name}_begin", f"{name}_size"], name, schema.SliceOptionsT()
        )
        return name

    def answer(self) -> np.ndarray:
        """By LiteRT's reference kernels."""
        interpreter = Interpreter(
            model_content=self.content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        interpreter.allocate_tensors()
        (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
        image = np.random.default_rng(1).integers(-128, 128, given["shape"]).astype(np.int8)
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        found: np.ndarray = interpreter.get_tensor(taken["index"])
        return found

    @property
    def merged(self) -> bool:
        """Are there no strips any longer?"""
        left = without_strips(Graph.parse(self.content, "strips"))
        return [op.name for op in left] == ["CONV_2D", "LEAKY_RELU", "MAX_POOL_2D"]


_CASES = [
    (32, [(0, 20), (16, 32)], [(0, 4), (0, 4)], True, "four rows more, and the spoiled one cut"),
    (32, [(0, 12), (8, 20), (16, 32)], [(0, 2), (0, 2), (0, 4)], True, "three strips"),
    (32, [(0, 24), (16, 32)], [(0, 4), (0, 4)], True, "more rows than it takes"),
    (32, [(0, 20), (12, 32)], [(0, 4), (1, 5)], True, "rows before the strip's own"),
    (32, [(0, 32)], [(0, 8)], True, "one strip"),
    (32, [(0, 16), (16, 32)], [(0, 4), (0, 4)], False, "its neighbours are missing"),
    (32, [(0, 20), (16, 32)], [(0, 5), (1, 4)], False, "the spoiled row is kept"),
    (32, [(0, 20), (18, 32)], [(0, 4), (0, 4)], False, "rows in between"),
    (32, [(0, 20), (17, 32)], [(0, 4), (0, 4)], False, "an odd row begins it"),
    (32, [(16, 32), (0, 20)], [(0, 4), (0, 4)], False, "the lower half comes first"),
    (32, [(0, 20), (0, 20)], [(0, 4), (0, 4)], False, "the upper half twice"),
    (32, [(0, 20), (16, 32)], [(0, 4), (0, 3)], False, "the last row is missing"),
    (32, [(0, 20), (16, 32)], [(0, 3), (0, 4)], False, "a row in between is missing"),
]


@pytest.mark.parametrize(("height", "read", "kept", "wanted", "reason"), _CASES)
def test_strips(height: int, read: list[Rows], kept: list[Rows], wanted: bool, reason: str) -> None:
    assert Strips(height, read, kept).merged == wanted, reason


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(2, 6), st.data())
def test_only_what_computes_the_same(quarters: int, data: st.DataObject) -> None:
    """Strips cut anywhere, with any rows more: where they are made whole, LiteRT answers alike."""
    rows = quarters * 2
    cut = data.draw(st.lists(st.integers(1, rows - 1), max_size=2, unique=True).map(sorted))
    read, kept, wanted = [], [], True
    for first, end in pairwise([0, *cut, rows]):
        before, more = data.draw(st.integers(0, min(first, 1))), data.draw(st.integers(2, 5))
        read.append((4 * (first - before), min(4 * end + more, 4 * rows)))
        kept.append((before, before + end - first))
        wanted &= more == 4 or end == rows  # An odd or a shorter strip is padded otherwise.
    found = Strips(4 * rows, read, kept)
    assert found.merged == wanted
    if found.merged:
        whole = Strips(4 * rows, [(0, 4 * rows)], [(0, rows)])
        np.testing.assert_array_equal(found.answer(), whole.answer())


def test_a_file_of_this_kit(build: Build) -> None:
    """With its stem in strips, a file has the layers that it has without."""
    model = unpack(build.tflite.read_bytes())
    assert strips.cut_stem(model) == 3
    file = TfliteFile.read(build.tflite)
    whole, cut = Graph.read(build.tflite), Graph.parse(flatbuffer.serialize(model), "cut")
    assert len(cut.operators) > len(whole.operators)
    networks = [read_layers(graph, pairs(file, graph), "model") for graph in (whole, cut)]
    assert networks[0].values == networks[1].values
    for one, other in zip(*(network.layers for network in networks), strict=True):
        assert (one.kind, one.sources, one.kernel, one.above) == (
            other.kind, other.sources, other.kernel, other.above,
        )  # fmt: skip
        for name in ("weight", "bias", "activation"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
