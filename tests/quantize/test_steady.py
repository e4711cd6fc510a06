"""Activations' tables, where the ratio of scales is formed in float32 and in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from quantize import flatbuffer
from quantize.fixed_point import quantize_multiplier
from quantize.float_graph import FloatGraph
from quantize.steady import is_steady, settle, unsteady
from quantize.verify import verify
from runtime.errors import GateFailed
from runtime.tflite_graph import Graph, text, unpack
from tests.analysis.tflite import Maker
from tests.conftest import Build
from tests.firmware.test_leaky_relu import table
from tests.quantize.test_slopes import EVERY, tflm


def in_float32(source: tuple[float, int], target: tuple[float, int], alpha: float) -> list[int]:
    one, other = np.float32(source[0]), np.float32(target[0])
    ratios = float(one / other), float(one * np.float32(alpha) / other)
    fixed = [n for ratio in ratios for n in quantize_multiplier(ratio)]
    return table((source[1], target[1], *fixed))


def in_float64(source: tuple[float, int], target: tuple[float, int], alpha: float) -> list[int]:
    ratios = source[0] / target[0], source[0] * float(np.float32(alpha)) / target[0]
    fixed = [n for ratio in ratios for n in quantize_multiplier(ratio)]
    return table((source[1], target[1], *fixed))


def scales(rng: np.random.Generator, ratio: float) -> tuple[tuple[float, int], tuple[float, int]]:
    """Of float32 precision, with that ratio as nearly as float32 holds it."""
    other = float(np.float32(rng.uniform(0.005, 0.1)))
    one = float(np.float32(other * ratio))
    return (one, int(rng.integers(-60, 60))), (other, int(rng.integers(-128, -60)))


def test_steady_tables_are_one_table() -> None:
    """Of ratios that are whole 256ths and of others; both kinds of answers occur."""
    rng = np.random.default_rng(0)
    kinds = {True: 0, False: 0}
    for i in range(400):
        whole = int(rng.integers(10, 700))
        pair = scales(rng, whole / 256 * (1 if i % 2 else 1 + 2.0**-17))
        for alpha in (0.1, 0.25, 0.0):
            steady = is_steady(alpha, *pair)
            kinds[steady] += 1
            if steady:
                assert in_float32(*pair, alpha) == in_float64(*pair, alpha), (pair, alpha)
    assert min(kinds.values()) > 100


@pytest.mark.parametrize("whole", [540, 220, 150, 330], ids=str)
def test_what_differs_is_not_steady(whole: int) -> None:
    """Scales are tried until the two forms differ, as they do where a product is a tie."""
    rng = np.random.default_rng(whole)
    differing = 0
    for _ in range(300):
        pair = scales(rng, whole / 256)
        if in_float32(*pair, 0.1) != in_float64(*pair, 0.1):
            differing += 1
            assert not is_steady(0.1, *pair)
    assert differing > 0


def plain_litert(path: Path) -> np.ndarray:
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], EVERY)
    interpreter.invoke()
    answer: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return answer.ravel()


def one_activation(
    folder: Path, kind: str, one: tuple[float, int], other: tuple[float, int]
) -> Path:
    options = None
    if kind == "LEAKY_RELU":
        options = schema.LeakyReluOptionsT()
        options.alpha = 0.1
    maker = Maker(1, 1, 1, 256, scale=one[0], zero=one[1])
    maker.step(kind, 1, 1, 1, 256, options=options, scale=other[0], zero=other[1])
    return maker.write(folder / f"{kind}.tflite")


@pytest.mark.parametrize("kind", ["LEAKY_RELU", "RELU"])
def test_engines_answer_as_one_table(tmp_path: Path, kind: str) -> None:
    """TensorFlow Lite Micro of this machine and LiteRT's plain kernels form ratios differently."""
    rng = np.random.default_rng(2)
    seen = 0
    for whole in rng.integers(10, 700, 40).tolist():
        pair = scales(rng, whole / 256 * (1 + 2.0**-17))
        if not is_steady(0.1 if kind == "LEAKY_RELU" else 0.0, *pair):
            continue
        seen += 1
        path = one_activation(tmp_path, kind, *pair)
        expected = in_float64(*pair, 0.1 if kind == "LEAKY_RELU" else 0.0)
        assert tflm(path).tolist() == expected, pair
        assert plain_litert(path).tolist() == expected, pair
    assert seen > 20


def with_ties(build: Build) -> FloatGraph:
    """The network, each activation's scales in a ratio of whole 256ths."""
    graph = FloatGraph.parse(build.tflite.read_bytes())
    ranges = graph.ranges
    for op in graph.operators:
        if op.kind == "LEAKY_RELU":
            one, other = (ranges[graph.scale_group[t]] for t in (op.inputs[0], op.outputs[0]))
            ratio = (one[1] - one[0]) / (other[1] - other[0])
            factor = max(round(25.6 * ratio), 1) / 25.6 / ratio
            ranges[graph.scale_group[op.inputs[0]]] = one[0] * factor, one[1] * factor
    return graph


def test_settling_a_network(build: Build) -> None:
    graph = with_ties(build)
    before = graph.ranges
    settled = settle(graph, before)
    assert any(settled[group] != before[group] for group in before), "there were ties"
    for group, (low, high) in settled.items():
        assert low == pytest.approx(before[group][0], rel=1e-3)
        assert high == pytest.approx(before[group][1], rel=1e-3)
    assert settled[graph.scale_group[graph.input]] == before[graph.scale_group[graph.input]]
    assert settle(graph, settled) == settled


def test_gate(build: Build) -> None:
    """A built file passes; with one scale moved onto a tie it is refused by the layer's name."""
    content = build.tflite.read_bytes()
    model = unpack(content)
    assert not list(unsteady(Graph.of(model)))
    op = Graph.of(model).named("LEAKY_RELU")[0]
    tensors = model.subgraphs[0].tensors
    source, target = (tensors[t[0]] for t in (op.packed.inputs, op.packed.outputs))
    source.quantization.scale = np.float32(np.float32(target.quantization.scale[0]) * 1.5).reshape(
        1
    )
    name = text(target.name)
    assert [o.label for o in unsteady(Graph.of(model))] == [op.label]
    with pytest.raises(GateFailed, match=f"LEAKY_RELU '{name}' rounds otherwise"):
        verify(flatbuffer.serialize(model), {}, "moved")
