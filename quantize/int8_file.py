"""Write a graph as an int8 TFLite file: weights a scale an output channel, activations a scale a
tensor, biases int32 (TensorFlow Lite's 8-bit quantization specification)."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from quantize.graph import Graph, Operator
from quantize.simulate import WEIGHT_PEAK, scale_and_zero_point, weight_step

# Versions of the operators that take int8, as the kernels' registrations demand.
_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "ADD": 2,
    "CONCATENATION": 2,
    "GATHER": 2,
    "PAD": 2,
    "SPLIT": 2,
    "STRIDED_SLICE": 2,
    "MAX_POOL_2D": 2,
    "AVERAGE_POOL_2D": 2,
    "LEAKY_RELU": 2,
    "RELU": 2,
    "RELU6": 2,
    "RESIZE_BILINEAR": 3,
}
_LARGEST_BIAS = 2**30


def write(graph: Graph, ranges: dict[int, tuple[float, float]]) -> Any:
    """The graph as an int8 `ModelT`.

    ranges: (low, high) of each group of tensors with one scale, the input's too.
    """
    model = copy.deepcopy(graph.model)
    tensors = model.subgraphs[0].tensors
    for tensor in graph.activations:
        limits = ranges[graph.scale_group[tensor]]
        scale, zero_point = scale_and_zero_point(*map(torch.tensor, limits))
        tensors[tensor].type = schema.TensorType.INT8
        tensors[tensor].quantization = _quantization(scale.reshape(1), int(zero_point))
    convolutions = (
        op
        for op in model.subgraphs[0].operators
        if "CONV_2D" in flatbuffer.operator_name(model, op)
    )
    for written, op in zip(convolutions, graph.convolutions, strict=True):
        input_scale = float(tensors[op.inputs[0]].quantization.scale[0])
        _write_layer(model, written, graph, op, input_scale)
    for code in model.operatorCodes:
        name = flatbuffer.code_name(code)
        code.version = _VERSIONS.get(name, code.version)
    flatbuffer.drop_unused(model)
    return model


def _write_layer(model: Any, written: Any, graph: Graph, op: Operator, input_scale: float) -> None:
    assert op.layer is not None
    weight, bias = graph.weights[op.layer], graph.biases[op.layer].double()
    step = weight_step(weight)
    # A channel of tiny weights with a bias: the bias must fit 32 bits.
    step = torch.maximum(step, bias.abs().reshape(step.shape) / (input_scale * _LARGEST_BIAS))
    step = step.float()
    values = torch.round(weight / step).clamp(-WEIGHT_PEAK, WEIGHT_PEAK).to(torch.int8)
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    in_file = values.permute((1, 2, 3, 0) if depthwise else (0, 2, 3, 1)).contiguous().numpy()
    scale = step.flatten()
    bias_scale = scale * input_scale
    whole = torch.round(bias / bias_scale.double()).to(torch.int32).numpy()
    axis = 3 if depthwise else 0
    name = f"layer_{op.layer:03d}"
    quantized = _quantization(scale, 0, axis)
    weights = flatbuffer.add_tensor(
        model, f"{name}/weight", in_file, schema.TensorType.INT8, quantized
    )
    quantized = _quantization(bias_scale, 0)
    biases = flatbuffer.add_tensor(model, f"{name}/bias", whole, schema.TensorType.INT32, quantized)
    written.inputs = [written.inputs[0], weights, biases]


def _quantization(scale: torch.Tensor, zero_point: int, axis: int = 0) -> Any:
    result = schema.QuantizationParametersT()
    result.scale = scale.float().numpy()
    result.zeroPoint = np.full(len(scale), zero_point, np.int64)
    result.quantizedDimension = axis
    return result
