"""Rewrites of the finished file: every bit of every output stays, in both interpreters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.engine import deploy as on_the_engine
from benchmarks.linux_choices import for_npu
from quantize import INT8_REWRITES, flatbuffer, integer_file
from quantize.deploy import Deployed, deploy
from quantize.float_graph import FloatGraph
from quantize.methods import quantize
from quantize.rewrites import slices, strips
from quantize.verify import expected_counts
from runtime.engines import LiteRtEngine, TflmEngine
from runtime.engines.arena import arena_bytes
from runtime.errors import GateFailed
from runtime.preprocess import to_canvas
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph, unpack
from tests.conftest import Build, Converted, calibration, deviation, photo, small

_OF_THE_STEM = ("stem_strips", "space_to_depth")
_FOR_THE_U65 = ("convolution_by_slice", "space_to_depth")
CASES = [(), ("stem_strips",), ("space_to_depth",), _OF_THE_STEM, _FOR_THE_U65]


@pytest.fixture(scope="module")
def quantized(build: Build) -> Any:
    graph = FloatGraph.parse(build.float_model)
    return integer_file.write(
        graph, quantize(graph, build.spec, calibration(build.spec), ()).ranges
    )


@pytest.fixture
def finish(build: Build, quantized: Any, canvas: np.ndarray) -> Callable[..., Deployed]:
    import copy

    def run(rewrites: tuple[str, ...]) -> Deployed:
        model = copy.deepcopy(quantized)
        return deploy(model, build.spec, rewrites, expected_counts(build.onnx), canvas, "tiny")

    return run


@pytest.mark.parametrize("rewrites", CASES)
def test_every_bit_stays(
    rewrites: tuple[str, ...], finish: Callable[..., Deployed], build: Build
) -> None:
    plain, rewritten = (TfliteFile.parse(finish(names).content, "tiny") for names in ((), rewrites))
    other, _ = to_canvas(photo(5, 77, 120), build.spec.input)
    for engine in (LiteRtEngine, TflmEngine):
        before, after = (engine(file).infer_raw(other) for file in (plain, rewritten))
        for name, values in before.items():
            np.testing.assert_array_equal(values, after[name], err_msg=name)


def test_what_each_changes(finish: Callable[..., Deployed]) -> None:
    plain, cut, blocks = finish(()), finish(("stem_strips",)), finish(("space_to_depth",))
    # Three strips, of which two are cut off at the end.
    assert cut.operators - plain.operators == {
        "SLICE": 3 + 2, "CONV_2D": 2, "MAX_POOL_2D": 2, "CONCATENATION": 1,
    }  # fmt: skip
    assert blocks.operators == plain.operators
    file = TfliteFile.parse(blocks.content, "tiny")
    assert file.spec.graph.space_to_depth and file.input.shape == (1, 32, 48, 16)
    assert "takes no blocks of pixels" in str(on_the_engine(blocks.content, "tiny"))
    assert not (plain.left_out or cut.left_out or blocks.left_out)


def test_a_convolution_for_each_slice(finish: Callable[..., Deployed]) -> None:
    plain, apart = finish(()), finish(("convolution_by_slice",))
    assert not apart.left_out and plain.operators["SLICE"] > apart.operators["SLICE"]
    more = apart.operators["CONV_2D"] - plain.operators["CONV_2D"]
    assert more == apart.operators["LEAKY_RELU"] - plain.operators["LEAKY_RELU"] > 0
    graphs = [Graph.parse(found.content, "tiny") for found in (plain, apart)]
    products = [
        sum(op.constant(1).elements * op.outputs[0].elements // op.outputs[0].shape[-1]
            for op in graph.named("CONV_2D"))
        for graph in graphs
    ]  # fmt: skip
    assert products[0] == products[1], "nothing is multiplied twice"


def test_the_benchmark_compiles_what_the_target_gets(
    finish: Callable[..., Deployed], tmp_path: Path
) -> None:
    plain = tmp_path / "plain.tflite"
    plain.write_bytes(finish(()).content)
    (tmp_path / "npu").mkdir()
    graphs = (
        Graph.read(for_npu(plain, tmp_path / "npu")),
        Graph.parse(finish(_FOR_THE_U65).content, "tiny"),
    )
    made, target = (
        [(op.name, [t and (t.shape, t.scales) for t in (*op.inputs, *op.outputs)])
         for op in graph.operators]
        for graph in graphs
    )  # fmt: skip
    assert made == target


def test_strips_take_less_memory(finish: Callable[..., Deployed], tmp_path: Path) -> None:
    sizes = []
    for name in ("plain", "cut"):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(finish(("stem_strips",) if name == "cut" else ()).content)
        sizes.append(arena_bytes(path))
    assert sizes[1] < sizes[0]


def test_a_stem_that_pads_is_left_alone(
    tiny: ModelSpec, canvas: np.ndarray, converted: Converted
) -> None:
    upright = converted(tiny.with_strides((32,)), ("rotate_180",))
    graph = FloatGraph.parse(upright.float_model)
    ranges = quantize(graph, upright.spec, calibration(upright.spec), ()).ranges
    model = integer_file.write(graph, ranges)
    expected = expected_counts(upright.onnx)
    deployed = deploy(model, upright.spec, INT8_REWRITES, expected, canvas, "upright")
    apart = "convolution_by_slice"
    left_out = [line.split(":")[0] for line in deployed.left_out]
    assert left_out == [name for name in INT8_REWRITES if name != apart]
    assert deployed.operators["PAD"] == 7, "a strided convolution each"
    answers = LiteRtEngine(TfliteFile.parse(deployed.content, "upright")).infer(canvas)
    floats = simulate_float(graph, upright.spec, canvas)
    for name, values in answers.items():
        # It was 0.42 and 0.50: random weights magnify rounding; a wrong wiring has 1 or more.
        assert deviation(values, floats[name]) < 0.7, name


def simulate_float(graph: FloatGraph, spec: ModelSpec, canvas: np.ndarray) -> dict[str, np.ndarray]:
    import torch

    from quantize import simulate
    from runtime.preprocess import float_input

    pixels = torch.from_numpy(float_input(canvas, spec)).permute(0, 3, 1, 2)
    found = simulate.run(graph, pixels)
    return {name: values[0].permute(1, 2, 0).numpy() for name, values in found.items()}


def test_a_rewrite_that_changes_an_answer(
    finish: Callable[..., Deployed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(model: Any) -> int:
        """Strips that read one row too low."""
        first = strips._StemCutter._slice

        def shifted(self: Any, source: int, begin: int, rows: int, label: str) -> int:
            return first(self, source, max(begin - 1, 0), rows, label)

        with monkeypatch.context() as patch:
            patch.setattr(strips._StemCutter, "_slice", shifted)
            return cut(model)

    cut = strips.cut_stem
    monkeypatch.setattr(strips, "cut_stem", wrong)
    with pytest.raises(GateFailed, match="the rewritten file answers"):
        finish(("stem_strips",))


def test_a_slice_with_steps(quantized: Any) -> None:
    import copy

    model = copy.deepcopy(quantized)
    op = Graph.of(model).named("STRIDED_SLICE")[0]
    op.packed.inputs[3] = flatbuffer.add_constant(model, "steps", np.array([1, 1, 1, 2]))
    with pytest.raises(GateFailed, match="no plain slice"):
        slices.use_plain_slices(model)


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (96, 64, "16 rows to cut"),
        (96, 96, "24 rows"),
        pytest.param(160, 32, "8 rows", marks=pytest.mark.full(reason="another conversion")),
    ],
)
def test_strips_of_other_sizes(
    official: ModelSpec, width: int, height: int, reason: str, converted: Converted
) -> None:
    spec = small(official, width, height).with_strides((32,))
    canvas, _ = to_canvas(photo(3, 90, 90), spec.input)
    built = converted(spec)
    model = unpack(built.tflite.read_bytes())
    assert strips.cut_stem(model) == 3, reason
    cut = TfliteFile.parse(flatbuffer.serialize(model), "cut")
    before = TflmEngine(TfliteFile.read(built.tflite)).infer_raw(canvas)
    for name, values in TflmEngine(cut).infer_raw(canvas).items():
        np.testing.assert_array_equal(values, before[name], err_msg=reason)


def test_blocks_in_the_preprocessing(tiny: ModelSpec, canvas: np.ndarray) -> None:
    """Against the definition: cell (i, j) holds rows 2i, 2i + 1 and columns 2j, 2j + 1."""
    from runtime.preprocess import float_input, int8_input

    graph = dataclasses.replace(tiny.graph, space_to_depth=True)
    spec = dataclasses.replace(tiny, graph=graph)
    for make in (int8_input, float_input):
        pixels, blocks = make(canvas, tiny)[0], make(canvas, spec)[0]
        assert blocks.shape == (32, 48, 16)
        np.testing.assert_array_equal(blocks[5, 7, :3], pixels[10, 14])
        np.testing.assert_array_equal(blocks[5, 7, 4:7], pixels[10, 15])
        np.testing.assert_array_equal(blocks[5, 7, 8:11], pixels[11, 14])
        np.testing.assert_array_equal(blocks[5, 7, 12:15], pixels[11, 15])
