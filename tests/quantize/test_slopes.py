"""LEAKY_RELU's slopes in both engines, and the ranges that make them right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from quantize import simulate, slopes
from quantize.float_graph import FloatGraph
from quantize.learn import Ends
from tests.analysis.tflite import Maker
from tests.conftest import Build

_STEP, _ZERO = 0.01, -100
EVERY = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 1, 256)


def litert(path: Path) -> np.ndarray:
    """What LiteRT with XNNPACK makes of each int8."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], EVERY)
    interpreter.invoke()
    answer: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return answer.ravel()


def tflm(path: Path) -> np.ndarray:
    runtime = pytest.importorskip("tflite_micro", reason="no tflite-micro here").runtime
    interpreter = runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=1 << 16)
    interpreter.set_input(EVERY, 0)
    interpreter.invoke()
    return np.array(interpreter.get_output(0)).ravel()


@pytest.mark.parametrize(
    ("numerator", "engine", "largest_error", "reason"),
    [
        (220, litert, 0.5, "22 / 256 below 0 and 220 / 256 above are there to be had"),
        (220, tflm, 0.57, "ties in its second rounding lie half a step off, others a little less"),
        (215.5, litert, None, "neither slope is a whole 256th"),
        (215.5, tflm, 0.57, "TFLite Micro holds 31 bits of a slope"),
    ],
)
def test_slopes_of_engines(
    tmp_path: Path,
    numerator: float,
    engine: Callable[[Path], np.ndarray],
    largest_error: float | None,
    reason: str,
) -> None:
    ratio = numerator / 256
    options = schema.LeakyReluOptionsT()
    options.alpha = 0.1
    maker = Maker(1, 1, 1, 256, scale=_STEP * ratio, zero=20)
    maker.step("LEAKY_RELU", 1, 1, 1, 256, options=options, scale=_STEP, zero=_ZERO)
    exact = (EVERY.ravel().astype(float) - 20) * ratio
    exact = np.where(exact < 0, 0.1 * exact, exact)
    answer = engine(maker.write(tmp_path / "leaky.tflite")).astype(float) - _ZERO
    error = np.abs(answer - exact).max()
    if largest_error is None:
        assert error > 0.6, reason
    else:
        assert error < largest_error + 0.005, reason


@pytest.mark.parametrize(
    ("ratio", "alpha", "expected", "reason"),
    [
        (0.85, 0.1, 220 / 256, "217.6: the nearest that ends in 0"),
        (2.34, 0.1, 600 / 256, "above 1 likewise"),
        (0.8, 0.25, 204 / 256, "a quarter: every fourth"),
        (0.8, 0.01, 200 / 256, "a hundredth: of those within reach the best"),
        (0.02, 0.1, 10 / 256, "much finer than the output: any suits"),
        (0.8, 0.0, 205 / 256, "nothing is left below 0"),
    ],
)
def test_fraction(ratio: float, alpha: float, expected: float, reason: str) -> None:
    assert slopes.fraction(ratio, alpha) == expected, reason


def test_ranges_of_a_network(graph: FloatGraph, ranges: dict[int, Ends]) -> None:
    """Whatever was chosen, steps in float32 have such ratios."""
    steps = {
        group: float(simulate.scale_and_zero_point(torch.tensor(low), torch.tensor(high))[0])
        for group, (low, high) in ranges.items()
    }
    leaky = [op for op in graph.operators if op.kind == "LEAKY_RELU"]
    assert leaky
    for op in leaky:
        source, target = (steps[graph.scale_group[t]] for t in (op.inputs[0], op.outputs[0]))
        for slope in (256 * source / target, 25.6 * source / target):
            assert slope == pytest.approx(round(slope), abs=1e-3)


def test_gradients_pass(build: Build) -> None:
    """An input's width follows its output's."""
    graph = FloatGraph.parse(build.float_model)
    op = next(op for op in graph.operators if op.kind == "LEAKY_RELU")
    source, target = (graph.scale_group[t] for t in (op.inputs[0], op.outputs[0]))
    high = torch.tensor(1.0, requires_grad=True)
    limits = {source: (torch.tensor(-1.0), torch.tensor(1.0)), target: (torch.tensor(-0.1), high)}
    slopes.exact(graph, limits)[source][1].backward()
    assert high.grad is not None and high.grad > 0
