from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from analysis.memory import memory
from quantize import flatbuffer
from runtime.engines.arena import arena_bytes
from runtime.tflite_graph import Graph, unpack
from tests.conftest import Build


def test_peak_of_a_real_network(build: Build) -> None:
    """Input and the first convolution's output are there at once; nothing later is as large."""
    found = memory(Graph.read(build.tflite)).peak
    sizes = {"input": 64 * 96 * 3, "000_conv_2d": 32 * 48 * 24}
    assert dict(found.tensors) == sizes and found.bytes == sum(sizes.values())
    assert found.operator == "CONV_2D 0"
    assert found.bytes < arena_bytes(build.tflite), "TFLite Micro needs more, never less"


def test_flash(build: Build) -> None:
    content = build.tflite.read_bytes()
    found = memory(Graph.parse(content, "m"))
    buffers = [b.data for b in unpack(content).buffers if b.data is not None]
    assert found.flash_bytes == len(content)
    assert found.constant_bytes == sum(len(data) for data in buffers)


def test_lifetimes_by_hand(build: Build) -> None:
    """a -> b -> c, and c reads a again: all three are there at the end."""
    model = unpack(build.tflite.read_bytes())
    graph = model.subgraphs[0]

    def tensor(name: str, size: int) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, size], schema.TensorType.INT8, 0
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    a, b, c, d = (tensor(n, size) for n, size in zip("abcd", (10, 100, 20, 60), strict=True))
    code = flatbuffer.operator_code(model, "ADD")

    def add(inputs: list[int], output: int) -> schema.OperatorT:
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = code, inputs, [output]
        return op

    graph.operators = [add([a, a], b), add([b, a], c), add([c, c], d)]
    graph.inputs, graph.outputs, model.signatureDefs = [a], [d], []
    found = memory(Graph.parse(flatbuffer.serialize(model), "m"))
    assert found.peak.tensors == (("b", 100), ("c", 20), ("a", 10))
    assert (found.peak.bytes, found.peak.operator) == (130, "ADD 1")
    assert [moment.bytes for moment in found.moments] == [110, 130, 80]
