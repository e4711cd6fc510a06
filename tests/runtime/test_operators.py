"""The table of operators, against the schema, ONNX and LiteRT."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx.defs
import pytest
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from runtime.engines.interpreter import answer, open_interpreter
from runtime.operators import CUSTOM, FACTS, OperatorFacts, facts_of
from tests.analysis.tflite import image

_VALUES = {
    "weights": {"full", "depthwise", "dense"},
    "scales": {"one"},
    "rounds": {"yes"},
    "ratio": {"float32"},
    "homogeneous": {"yes"},
    "micro": {"cmsis", "cmsis-int8", "reference"},
    "vx": {"NN", "TP", "shader", "fused", "no copy", "yes"},
    "neutron": {"yes"},
    "linux": {"yes"},
    "cost": {"window", "rows", "rank"},
}


def test_columns() -> None:
    """A typing error in a cell would pass for something that is not known."""
    for facts in FACTS.values():
        for column, values in _VALUES.items():
            assert getattr(facts, column) in {"", *values}, (facts.name, column)
        for column in ("number", "options", "int8", "int16"):
            cell = getattr(facts, column)
            assert not cell or cell.isdigit(), (facts.name, column)
        assert bool(facts.registration) == bool(facts.parser)
        assert bool(facts.number) == bool(facts.options) == bool(facts.inputs)


def test_names_are_the_schemas() -> None:
    for name in FACTS:
        assert name.startswith(f"{CUSTOM} ") or hasattr(schema.BuiltinOperator, name), name


def test_options_are_the_schemas() -> None:
    """The schema names options after the operator, but for pools."""
    kinds = {number: name for name, number in vars(schema.BuiltinOptions).items() if name[0] != "_"}
    for facts in FACTS.values():
        if facts.options not in ("", "0"):
            words = facts.name.removesuffix("_2D").split("_")
            name = "Pool2" if words[-1] == "POOL" else "".join(words)
            found = kinds[int(facts.options)].lower().removesuffix("options")
            assert found.removesuffix("2d") == name.lower().removesuffix("2"), facts.name


def test_onnx_names_are_onnxs() -> None:
    for facts in FACTS.values():
        assert not facts.onnx or onnx.defs.has(facts.onnx), facts.name


def test_one_row_each() -> None:
    assert all(name == facts.name for name, facts in FACTS.items())
    assert facts_of("STABLEHLO_ADD") == OperatorFacts("STABLEHLO_ADD")


@pytest.mark.parametrize(
    ("inputs", "count", "taken", "reason"),
    [
        ("2", 2, True, "exactly"),
        ("2", 3, False, "more than exactly"),
        ("2-3", 3, True, "the most"),
        ("2-3", 1, False, "too few"),
    ],
)
def test_inputs(inputs: str, count: int, taken: bool, reason: str) -> None:
    facts = dataclasses.replace(facts_of("ADD"), inputs=inputs)
    assert facts.takes_inputs(count) == taken, reason


def _pool() -> object:
    options = schema.Pool2DOptionsT()
    options.strideH = options.strideW = options.filterHeight = options.filterWidth = 2
    return options


def _leaky() -> object:
    options = schema.LeakyReluOptionsT()
    options.alpha = 0.1
    return options


_PADS = [0, 0, 1, 1, 1, 1, 0, 0]
# Size of the output, options, constants.
_UNARY: dict[str, tuple[int, Callable[[], object], list[list[int]]]] = {
    "AVERAGE_POOL_2D": (4, _pool, []),
    "LEAKY_RELU": (8, _leaky, []),
    "MAX_POOL_2D": (4, _pool, []),
    "PAD": (10, lambda: None, [_PADS]),
    "RELU": (8, lambda: None, []),
    "RELU6": (8, lambda: None, []),
    "RESIZE_BILINEAR": (16, schema.ResizeBilinearOptionsT, [[16, 16]]),
}


@pytest.mark.parametrize("name", _UNARY)
def test_homogeneous(name: str) -> None:
    """f(7 x) = 7 f(x) in LiteRT, or not."""
    size, options, constants = _UNARY[name]
    made = image(dtype="FLOAT32").step(
        name, 1, size, size, 4, options=options(), constants=constants, dtype="FLOAT32"
    )
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 1, 8, 8, 4)).astype(np.float32)
    once, scaled = (
        answer(open_interpreter(litert, flatbuffer.serialize(made.model), xnnpack=False), [x])[0]
        for x in (pixels, 7 * pixels)
    )
    assert np.allclose(scaled, 7 * once, rtol=1e-5) == bool(facts_of(name).homogeneous)


def test_all_homogeneous_operators_are_tested() -> None:
    assert {f.name for f in FACTS.values() if f.homogeneous} <= set(_UNARY)
