"""The quantized file: what it holds, and that the last gate refuses what it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer, package
from quantize.verify import expected_counts, verify
from runtime import graph_file
from runtime.errors import GateFailed
from tests.conftest import Build


@pytest.fixture
def model(build: Build) -> Any:
    return graph_file.parse(build.tflite.read_bytes())


def test_operators(model: Any) -> None:
    counts = graph_file.operator_counts(model)
    # 16 units, of which the first of a stage joins its branches when the next reads them.
    assert counts["CONCATENATION"] == 16 and counts["SLICE"] == 65
    assert not set(counts) & {"STRIDED_SLICE", "SPLIT", "TRANSPOSE", "RESHAPE", "QUANTIZE"}
    assert counts["CONV_2D"] == 43 + 2 * 4  # two strides more, each two blocks, cls and reg
    assert counts["DEPTHWISE_CONV_2D"] == 21 + 2 * 2
    assert not set(counts) & {"PAD", "PADV2", "LOGISTIC", "GATHER", "DEQUANTIZE"}


def test_weights_are_per_channel(model: Any) -> None:
    graph = model.subgraphs[0]
    for op in graph.operators:
        if graph_file.operator_name(model, op) == "CONV_2D":
            weights = graph.tensors[op.inputs[1]]
            assert len(weights.quantization.scale) == weights.shape[0]


def test_buffers_are_aligned(build: Build) -> None:
    root = schema.Model.GetRootAs(build.tflite.read_bytes(), 0)
    starts = []
    for i in range(root.BuffersLength()):
        table: flatbuffers.table.Table = root.Buffers(i)._tab
        if offset := table.Offset(4):
            starts.append(table.Vector(offset))
    assert len(starts) > 100
    assert all(start % flatbuffer.ALIGNMENT_BYTES == 0 for start in starts)


def make_float(model: Any) -> None:
    model.subgraphs[0].tensors[5].type = schema.TensorType.FLOAT32


def make_foreign(model: Any) -> None:
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.ADD:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MUL


def make_zero_scale(model: Any) -> None:
    model.subgraphs[0].tensors[5].quantization.scale = np.zeros(1, np.float32)


def drop_operator(model: Any) -> None:
    del model.subgraphs[0].operators[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (make_float, "neither INT8 nor INT32"),
        (make_foreign, "operator MUL is not known"),
        (make_zero_scale, "has scale 0"),
        (drop_operator, "LEAKY_RELU operators, expected"),
    ],
)
def test_the_last_gate(
    build: Build, model: Any, change: Callable[[Any], None], message: str
) -> None:
    expected = expected_counts(build.onnx)
    verify(build.tflite.read_bytes(), expected, "good")
    change(model)
    with pytest.raises(GateFailed, match=message):
        verify(flatbuffer.serialize(model), expected, "bad")


def test_a_transpose_of_high_rank(shuffled: Build) -> None:
    model = graph_file.parse(shuffled.tflite.read_bytes())
    graph = model.subgraphs[0]
    op = next(o for o in graph.operators if graph_file.operator_name(model, o) == "TRANSPOSE")
    graph.tensors[op.inputs[0]].shape = [1, 1, *graph.tensors[op.inputs[0]].shape]
    with pytest.raises(GateFailed, match="TRANSPOSE of rank 5"):
        verify(flatbuffer.serialize(model), expected_counts(shuffled.onnx), "bad")


def test_outputs_are_bound_by_name(build: Build, model: Any) -> None:
    (signature,) = model.signatureDefs
    signature.outputs[0].name = "other"
    with pytest.raises(GateFailed, match="converter returned"):
        package.name_tensors(model, build.spec)
