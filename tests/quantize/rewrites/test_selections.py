"""Channel shuffles as convolutions: every bit stays, and nothing is left to be copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from quantize import flatbuffer
from quantize.rewrites import selections, shuffle
from runtime.engines import LiteRtEngine, TflmEngine
from runtime.engines.interpreter import answer, open_interpreter
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph, unpack
from tests.analysis.tflite import Maker, image
from tests.conftest import Build


def selected(build: Build) -> tuple[Any, int]:
    model = unpack(build.tflite.read_bytes())
    shuffle.restore_gathers(model)
    return model, selections.select_by_convolutions(model)


def test_every_bit_stays(shuffled: Build, canvas: np.ndarray) -> None:
    model, count = selected(shuffled)
    after = TfliteFile.parse(flatbuffer.serialize(model), "selected")
    assert count == 16
    for engine in (TflmEngine, LiteRtEngine, lambda f: LiteRtEngine(f, xnnpack=False)):
        before = engine(TfliteFile.read(shuffled.tflite)).infer_raw(canvas)
        for name, values in engine(after).infer_raw(canvas).items():
            np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_what_it_leaves(shuffled: Build) -> None:
    """Thirteen halves that pass a block by are copied, and what three depthwise convolutions read
    at the ends of the stages, the last of which has none: by fifteen convolutions."""
    before = Graph.read(shuffled.tflite).counts
    counts = Graph.of(selected(shuffled)[0]).counts
    assert not {"GATHER", "SPLIT", "TRANSPOSE", "RESHAPE"} & set(counts)
    assert counts["CONV_2D"] - before["CONV_2D"] == 13 + 2


@pytest.mark.parametrize(
    ("maker", "reason"),
    [
        (image().convolution(1, 8, 8, 8), "no shuffle"),
        (image(dtype="INT16").step("GATHER", 1, 8, 8, 4, constants=[[2, 0, 3, 1]]), "int16"),
    ],
)
def test_left_alone(maker: Maker, reason: str) -> None:
    before = flatbuffer.serialize(maker.model)
    assert selections.select_by_convolutions(maker.model) == 0, reason
    assert flatbuffer.serialize(maker.model) == before


def test_another_order_of_channels() -> None:
    """Any, and also where the result is an output: against numpy."""
    maker = image(scale=0.5, zero=3)
    maker.step("GATHER", 1, 8, 8, 3, constants=[[2, 0, 3]], zero=3)
    assert selections.select_by_convolutions(maker.model) == 1
    pixels = np.arange(256).reshape(1, 8, 8, 4).astype(np.uint8).view(np.int8)
    content = flatbuffer.serialize(maker.model)
    (found,) = answer(open_interpreter(litert, content, xnnpack=False), [pixels[None]])
    np.testing.assert_array_equal(found[0], pixels[..., [2, 0, 3]])
