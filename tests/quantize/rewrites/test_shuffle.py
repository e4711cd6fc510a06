"""Channel shuffles in a quantized file, where the lowering has left them in."""

from __future__ import annotations

import numpy as np
import pytest

from quantize import flatbuffer, integer_file, package
from quantize.float_graph import FloatGraph
from quantize.methods import quantize
from quantize.rewrites import shuffle
from quantize.steady import settle
from runtime.engines import LiteRtEngine
from runtime.errors import GateFailed
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph, unpack
from tests.conftest import Build, calibration


def test_gather_and_transpose_move_the_same_bytes(shuffled: Build, canvas: np.ndarray) -> None:
    """The file before the rewrite, run by LiteRT, which knows GATHER."""
    graph = FloatGraph.parse(shuffled.float_model)
    ranges = quantize(graph, shuffled.spec, calibration(shuffled.spec), ()).ranges
    model = integer_file.write(graph, settle(graph, ranges))
    package.name_tensors(model, shuffled.spec)
    package.embed_spec(model, shuffled.spec)
    with_gather = TfliteFile.parse(flatbuffer.serialize(model), "gather")
    assert Graph.of(model).counts["GATHER"] == 16
    before = LiteRtEngine(with_gather, xnnpack=False).infer_raw(canvas)
    after = LiteRtEngine(TfliteFile.read(shuffled.tflite), xnnpack=False).infer_raw(canvas)
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name], err_msg=name)


@pytest.mark.parametrize(
    ("indices", "groups", "reason"),
    [
        ([0, 4, 1, 5, 2, 6, 3, 7], 2, "two groups of four"),
        ([0, 2, 4, 1, 3, 5], 3, "three groups of two"),
        ([0, 1, 2, 3], 4, "the identity is a shuffle of groups of one"),
        ([1, 0], None, "swapped"),
        ([0, 4, 1, 5, 2, 6, 7, 3], None, "almost"),
        ([0, 0, 1, 1], None, "no permutation"),
        ([0, 3, 1, 4, 2], None, "odd number of channels"),
    ],
)
def test_groups(indices: list[int], groups: int | None, reason: str) -> None:
    assert shuffle._groups(np.array(indices), len(indices)) == groups, reason


def test_gathers_come_back(shuffled: Build) -> None:
    model = unpack(shuffled.tflite.read_bytes())
    shuffle.restore_gathers(model)
    assert Graph.of(model).counts["GATHER"] == 16
    assert shuffle.replace_gathers(model) == 16
    before = unpack(shuffled.tflite.read_bytes())
    assert Graph.of(model).counts == Graph.of(before).counts


def test_a_reshape_that_is_no_shuffle(shuffled: Build) -> None:
    model = unpack(shuffled.tflite.read_bytes())
    swap = Graph.of(model).named("TRANSPOSE")[0]
    swap.packed.inputs[0] = model.subgraphs[0].inputs[0]
    with pytest.raises(GateFailed, match="no channel shuffle"):
        shuffle.restore_gathers(model)
