"""Activations as tables, against TensorFlow Lite Micro."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from firmware.engine import tables
from quantize import flatbuffer
from runtime.tflite_graph import Graph, Tensor
from tests.analysis.tflite import Maker

_EVERY = np.arange(-128, 128).astype(np.int8)
_LEAKY = schema.LeakyReluOptionsT()
_LEAKY.alpha = 0.1


@pytest.mark.parametrize(
    ("name", "table", "options"),
    [
        ("RELU", tables.relu, None),
        ("LEAKY_RELU", lambda one, other: tables.leaky_relu(one, other, _LEAKY.alpha), _LEAKY),
        ("HARD_SWISH", tables.hard_swish, None),
    ],
)
def test_tables(name: str, table: Callable[[Tensor, Tensor], np.ndarray], options: object) -> None:
    """Between random scales and zero points."""
    runtime = pytest.importorskip("tflite_micro", reason="no tflite-micro here").runtime
    rng = np.random.default_rng(0)
    for scale in np.exp(rng.uniform(np.log(0.002), np.log(2), 60)):
        zeros = (int(zero) for zero in rng.integers(-128, 128, 2))
        made = Maker(1, 1, 1, 256, scale=scale, zero=next(zeros))
        target = scale * rng.uniform(0.4, 1.5)
        made.step(name, 1, 1, 1, 256, scale=target, zero=next(zeros), options=options)
        content = flatbuffer.serialize(made.model)
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 16)
        interpreter.set_input(_EVERY.reshape(1, 1, 1, 256), 0)
        interpreter.invoke()
        (op,) = Graph.parse(content, name).operators
        found = table(op.inputs[0], op.outputs[0])  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, interpreter.get_output(0).ravel())
