"""The last gate: is the file what a microcontroller or NPU can run?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from quantize.steady import unsteady
from runtime.engines.base import check_input
from runtime.errors import GateFailed
from runtime.operators import facts_of
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph, unpack

_INT8 = frozenset({"INT8", "INT32"})
_INT16 = _INT8 | {"INT16", "INT64"}
_MAX_TRANSPOSE_RANK = 3


def verify(content: bytes, expected: dict[str, int], path: str) -> Counter[str]:
    """Check a finished file; returns its operator counts.

    expected: exact counts of the operators that carry the weights, from the lowered network.
    Raises `GateFailed` naming the tensor or operator at fault, and `KitError` where the input
    does not mean `pixel - 128`.
    """
    graph = Graph.of(unpack(content))
    wide = graph.inputs[0].dtype == "INT16"
    for tensor in graph.tensors:
        if tensor.dtype not in (_INT16 if wide else _INT8):
            raise GateFailed(f"{path}: tensor {tensor.name!r} is neither INT8 nor INT32")
        for scale in tensor.scales:
            if not 0 < scale < float("inf"):
                raise GateFailed(f"{path}: tensor {tensor.name!r} has scale {scale}")
    for op in () if wide else unsteady(graph):
        raise GateFailed(
            f"{path}: {op.name} {op.outputs[0].name!r} rounds otherwise where the ratio of its "
            "scales is formed in float32 than in float64; a board would not answer as this machine"
        )
    counts = graph.counts
    foreign = sorted(name for name in counts if not facts_of(name).registration)
    if foreign:
        raise GateFailed(f"{path}: operator {foreign[0]} is not known to the targets")
    for name, number in expected.items():
        if counts[name] != number:
            raise GateFailed(f"{path}: {counts[name]} {name} operators, expected {number}")
    for op in graph.named("TRANSPOSE"):
        if op.rank > _MAX_TRANSPOSE_RANK:
            raise GateFailed(f"{path}: TRANSPOSE of rank {op.rank}, at most {_MAX_TRANSPOSE_RANK}")
    check_input(TfliteFile.parse(content, path))  # Also that its shapes and names fit the spec.
    return counts


def expected_counts(onnx_path: Path) -> dict[str, int]:
    """How often each weighty operator must occur, from the ONNX graph the file comes from."""
    import onnx

    nodes = onnx.load(onnx_path).graph.node
    found = Counter(node.op_type for node in nodes)
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    depthwise = sum(a.i > 1 for n in convolutions for a in n.attribute if a.name == "group")
    return {
        "CONV_2D": found["Conv"] - depthwise,
        "DEPTHWISE_CONV_2D": depthwise,
        "HARD_SWISH": found["HardSwish"],
        "LEAKY_RELU": found["LeakyRelu"],
        "MAX_POOL_2D": found["MaxPool"],
        "MUL": found["Mul"],
        "SLICE": found["Slice"],
        "TRANSPOSE": found["Gather"],
        "RESHAPE": 2 * found["Gather"],
    }
