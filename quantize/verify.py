"""The last gate: is the file what a microcontroller or NPU can run?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from quantize.steady import unsteady
from runtime import graph_file
from runtime.engines.base import check_input
from runtime.errors import GateFailed
from runtime.tflite_file import TfliteFile

# What a NanoDet lowered by this kit may hold; TFLite Micro and CMSIS-NN or reference kernels
# know every one of them.
MICRO_OPERATORS = frozenset(
    "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D LEAKY_RELU MAX_POOL_2D PAD "
    "RELU RELU6 RESHAPE RESIZE_BILINEAR SLICE SPLIT TRANSPOSE".split()
)
_INT8 = frozenset({schema.TensorType.INT8, schema.TensorType.INT32})
_INT16 = _INT8 | {schema.TensorType.INT16, schema.TensorType.INT64}
_MAX_TRANSPOSE_RANK = 3


def verify(content: bytes, expected: dict[str, int], path: str) -> Counter[str]:
    """Check a finished file; returns its operator counts.

    expected: exact counts of the operators that carry the weights, from the lowered network.
    Raises `GateFailed` naming the tensor or operator at fault, and `KitError` where the input
    does not mean `pixel - 128`.
    """
    model = graph_file.parse(content)
    graph = model.subgraphs[0]
    wide = graph.tensors[graph.inputs[0]].type == schema.TensorType.INT16
    for tensor in graph.tensors:
        if tensor.type not in (_INT16 if wide else _INT8):
            raise GateFailed(f"{path}: tensor {tensor.name!r} is neither INT8 nor INT32")
        _check_scales(tensor, path)
    if not wide:
        _check_activations(model, path)
    counts = graph_file.operator_counts(model)
    foreign = sorted(set(counts) - MICRO_OPERATORS)
    if foreign:
        raise GateFailed(f"{path}: operator {foreign[0]} is not known to the targets")
    for name, number in expected.items():
        if counts[name] != number:
            raise GateFailed(f"{path}: {counts[name]} {name} operators, expected {number}")
    for op in graph.operators:
        rank = len(graph.tensors[op.inputs[0]].shape)
        if graph_file.operator_name(model, op) == "TRANSPOSE" and rank > _MAX_TRANSPOSE_RANK:
            raise GateFailed(f"{path}: TRANSPOSE of rank {rank}, at most {_MAX_TRANSPOSE_RANK}")
    check_input(TfliteFile.parse(content, path))  # Also that its shapes and names fit the spec.
    return counts


def expected_counts(onnx_path: Path) -> dict[str, int]:
    """How often each weighty operator must occur, from the ONNX graph the file comes from."""
    import onnx

    nodes = onnx.load(onnx_path).graph.node
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    depthwise = sum(a.i > 1 for n in convolutions for a in n.attribute if a.name == "group")
    shuffles = sum(node.op_type == "Gather" for node in nodes)
    return {
        "CONV_2D": len(convolutions) - depthwise,
        "DEPTHWISE_CONV_2D": depthwise,
        "LEAKY_RELU": sum(node.op_type == "LeakyRelu" for node in nodes),
        "MAX_POOL_2D": sum(node.op_type == "MaxPool" for node in nodes),
        "SLICE": sum(node.op_type == "Slice" for node in nodes),
        "TRANSPOSE": shuffles,
        "RESHAPE": 2 * shuffles,
    }


def _check_activations(model: Any, path: str) -> None:
    for kind, name in unsteady(model):
        raise GateFailed(
            f"{path}: {kind} {name!r} rounds otherwise where the ratio of its scales is formed in "
            "float32 than in float64; a board would not answer as this machine"
        )


def _check_scales(tensor: Any, path: str) -> None:
    quantization = tensor.quantization
    scales = [] if quantization is None or quantization.scale is None else quantization.scale
    for scale in scales:
        if not 0 < scale < float("inf"):
            raise GateFailed(f"{path}: tensor {tensor.name!r} has scale {scale}")
