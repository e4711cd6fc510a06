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
from runtime.errors import GateFailed
from runtime.tflite_graph import Graph, unpack
from tests.conftest import Build


@pytest.fixture
def model(build: Build) -> Any:
    return unpack(build.tflite.read_bytes())


def test_operators(model: Any) -> None:
    counts = Graph.of(model).counts
    # 16 units, of which the first of a stage joins its branches when the next reads them.
    assert counts["CONCATENATION"] == 16 and counts["SLICE"] == 65
    assert not set(counts) & {"STRIDED_SLICE", "SPLIT", "TRANSPOSE", "RESHAPE", "QUANTIZE"}
    assert counts["CONV_2D"] == 43 + 2 * 4  # two strides more, each two blocks, cls and reg
    assert counts["DEPTHWISE_CONV_2D"] == 21 + 2 * 2
    assert not set(counts) & {"PAD", "PADV2", "LOGISTIC", "GATHER", "DEQUANTIZE"}


def test_weights_are_per_channel(model: Any) -> None:
    for op in Graph.of(model).named("CONV_2D"):
        weights = op.constant(1)
        assert len(weights.scales) == weights.shape[0]


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
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SUB


def make_zero_scale(model: Any) -> None:
    model.subgraphs[0].tensors[5].quantization.scale = np.zeros(1, np.float32)


def drop_operator(model: Any) -> None:
    del model.subgraphs[0].operators[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (make_float, "neither INT8 nor INT32"),
        (make_foreign, "operator SUB is not known"),
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
    model = unpack(shuffled.tflite.read_bytes())
    (source, _) = Graph.of(model).named("TRANSPOSE")[0].packed.inputs
    tensor = model.subgraphs[0].tensors[source]
    tensor.shape = [1, 1, *tensor.shape]
    with pytest.raises(GateFailed, match="TRANSPOSE of rank 5"):
        verify(flatbuffer.serialize(model), expected_counts(shuffled.onnx), "bad")


def test_outputs_are_bound_by_name(build: Build, model: Any) -> None:
    (signature,) = model.signatureDefs
    signature.outputs[0].name = "other"
    with pytest.raises(GateFailed, match="converter returned"):
        package.name_tensors(model, build.spec)
