"""Files that an interpreter must not get: each sound but for one thing."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from runtime import tflite_operand, tflite_rules, tflite_schema
from runtime.errors import KitError
from runtime.operators import BY_NUMBER
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph, text, unpack
from tests.conftest import Build

Change = Callable[[Any], None]


def first(model: Any, name: str) -> Any:
    """The first operator of a kind."""
    return Graph.of(model).named(name)[0].packed


def tensor(model: Any, name: str, place: int) -> Any:
    """An input of the first operator of a kind."""
    return model.subgraphs[0].tensors[first(model, name).inputs[place]]


def put(get: Callable[[Any], Any], **values: Any) -> Change:
    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(get(model), name, value)

    return change


def options(name: str, **values: Any) -> Change:
    return put(lambda model: first(model, name).builtinOptions, **values)


def lose_half_the_weight(model: Any) -> None:
    buffer = model.buffers[tensor(model, "CONV_2D", 1).buffer]
    buffer.data = buffer.data[: len(buffer.data) // 2]


def slice_beyond(model: Any) -> None:
    begin = model.buffers[tensor(model, "SLICE", 1).buffer]
    begin.data = np.array([0, 0, 0, 1 << 20], "<i4").view(np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (options("CONV_2D", strideW=0), "stride_w is 0"),
        (options("CONV_2D", strideH=-1), "stride_h is -1"),
        (options("CONV_2D", dilationHFactor=0), "dilation_h is 0"),
        (options("CONV_2D", padding=7), "padding is 7"),
        (options("CONV_2D", fusedActivationFunction=4), "activation"),
        (options("DEPTHWISE_CONV_2D", depthMultiplier=3), "does not fit"),
        (options("AVERAGE_POOL_2D", filterWidth=1 << 30), "filter_w is"),
        (options("CONCATENATION", axis=9), "no axis 9"),
        (options("LEAKY_RELU", alpha=float("nan")), "alpha is nan"),
        (put(lambda m: first(m, "CONV_2D"), builtinOptionsType=5), "another operator's"),
        (put(lambda m: first(m, "CONV_2D"), builtinOptions=None), "another operator's"),
        (put(lambda m: first(m, "CONV_2D"), outputs=[]), "no outputs"),
        (put(lambda m: first(m, "ADD"), outputs=[0, 0]), "is taken|outputs are"),
        (put(lambda m: first(m, "SLICE"), inputs=[0, 0]), "2 inputs"),
        (put(lambda m: first(m, "CONV_2D"), opcodeIndex=99), "no operator code 99"),
        (put(lambda m: first(m, "CONV_2D"), inputs=[9999, 1, 2]), "no tensor 9999"),
        (put(lambda m: m.subgraphs[0], outputs=[-1]), "no tensor -1"),
        (put(lambda m: tensor(m, "CONV_2D", 1), buffer=9999), "no buffer 9999"),
        (put(lambda m: tensor(m, "CONV_2D", 1), shape=[1 << 30] * 4), "has shape"),
        (put(lambda m: tensor(m, "CONV_2D", 1), shape=[-1, 3, 3, 3]), "has shape"),
        (put(lambda m: tensor(m, "CONV_2D", 2), type=schema.TensorType.INT8), "takes .* has"),
        (put(lambda m: tensor(m, "ADD", 0), type=schema.TensorType.INT16), "zero points|mixes"),
        (put(lambda m: tensor(m, "ADD", 0).quantization, scale=[0.0]), "unsound scales"),
        (put(lambda m: tensor(m, "ADD", 0).quantization, scale=[float("nan")]), "unsound"),
        (put(lambda m: tensor(m, "ADD", 0).quantization, zeroPoint=[500]), "unsound"),
        (put(lambda m: tensor(m, "ADD", 0).quantization, scale=[1e9]), "scale is too small"),
        (put(lambda m: tensor(m, "CONV_2D", 1).quantization, quantizedDimension=3), "unsound"),
        (put(lambda m: m.operatorCodes[0], builtinCode=118, deprecatedBuiltinCode=118),
         "number 118: no file of this kit"),
        (lose_half_the_weight, "takes .* has"),
        (slice_beyond, "it takes"),
        (lambda m: m.subgraphs[0].operators.reverse(), "nothing computed its input"),
        (lambda m: m.subgraphs.append(m.subgraphs[0]), "2 graphs"),
        (put(lambda m: m.signatureDefs[0].outputs[0], name="other"), "names other outputs"),
    ],
)  # fmt: skip
def test_refused(build: Build, change: Change, message: str) -> None:
    model = unpack(build.tflite.read_bytes())
    change(model)
    with pytest.raises(KitError, match=message):
        TfliteFile.parse(flatbuffer.serialize(model), "m.tflite")


def test_custom_operators_are_left_alone(build: Build) -> None:
    """What a compiler for an NPU makes of a model: scratch memory that nothing computes."""
    model = unpack(build.tflite.read_bytes())
    graph = model.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, model.operatorCodes = "ethos-u", [code]
    scratch = schema.TensorT()
    scratch.name, scratch.shape, scratch.type = "scratch", [1000], schema.TensorType.UINT8
    graph.tensors.append(scratch)
    op = schema.OperatorT()
    op.inputs, op.outputs = [len(graph.tensors) - 1, *graph.inputs], graph.outputs
    graph.operators, model.signatureDefs = [op], []
    file = TfliteFile.parse(flatbuffer.serialize(model), "m.tflite")
    assert [t.name for t in file.outputs] == list(build.spec.output_names)


def test_names_and_numbers_are_the_schemas() -> None:
    assert {facts.name for facts in BY_NUMBER.values()} == set(tflite_rules.SHAPES)
    for number, facts in BY_NUMBER.items():
        assert getattr(schema.BuiltinOperator, facts.name) == number
    for number, (name, _) in tflite_operand.TYPES.items():
        assert getattr(schema.TensorType, name) == number


def test_reads_what_the_generated_reader_reads(build: Build) -> None:
    """Every field of every table, against TensorFlow's own reader."""
    content = build.tflite.read_bytes()
    _compare(tflite_schema.read_model(content), unpack(content))


_SHORT = {"fused": "fusedActivationFunction", "filter_h": "filterHeight", "filter_w": "filterWidth",
          "dilation_h": "dilationHFactor", "dilation_w": "dilationWFactor"}  # fmt: skip


def _compare(table: dict[str, Any], other: Any) -> None:
    for key, value in table.items():
        words = key.split("_")
        name = _SHORT.get(key, words[0] + "".join(word.capitalize() for word in words[1:]))
        expected = getattr(other, name, None)
        if isinstance(value, dict):
            _compare(value, expected)
        elif isinstance(value, list):
            for one, another in zip(value, expected or [], strict=True):
                _compare(one, another)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, [] if expected is None else expected)
        elif isinstance(value, str):
            assert value == text(expected or "")
        elif value is not None and key not in ("height", "width"):  # Gone from the schema.
            assert value == expected, key


@pytest.mark.parametrize(("offset", "number"), [(0, 0), (0, 2**32 - 1), (0, 2), (4, 0x33)], ids=str)
def test_offsets_lead_nowhere_else(build: Build, offset: int, number: int) -> None:
    content = bytearray(build.tflite.read_bytes())
    struct.pack_into("<I", content, offset, number)
    with pytest.raises(ValueError, match=r"leave|table|TFLite|field|aligned"):
        tflite_schema.read_model(bytes(content))


def test_shared_tables_do_not_multiply() -> None:
    """A few kilobytes that would be read as millions of tables."""
    count = 4000
    vtable = struct.pack("<HHH", 6, 8, 4) + b"\0\0"
    # Model with field 2 alone: a vector of `count` offsets, all to one SubGraph with field 0: a
    # vector of `count` offsets, all to one empty Tensor.
    content = bytearray(struct.pack("<I", 32) + b"TFL3")
    content += struct.pack("<HHHHH", 10, 8, 0, 0, 4) + b"\0" * 6 + vtable  # At 8 and 24.
    content += struct.pack("<iI", 32 - 8, 4)  # Model at 32; the vector follows at 40.
    graph = 40 + 4 + 4 * count
    content += struct.pack("<I", count)
    content += b"".join(struct.pack("<I", graph - (44 + 4 * i)) for i in range(count))
    content += struct.pack("<iI", graph - 24, 4)
    leaf = graph + 8 + 4 + 4 * count
    content += struct.pack("<I", count)
    content += b"".join(struct.pack("<I", leaf - (graph + 12 + 4 * i)) for i in range(count))
    content += struct.pack("<i", leaf - 24) + b"\0" * 4
    with pytest.raises(ValueError, match="without end"):
        tflite_schema.read_model(bytes(content))
