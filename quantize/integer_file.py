"""Write a graph as an integer TFLite file: int8 weights; activations int8, or int16 around 0, with
one scale per tensor; biases int32, or int64 with int16 (TensorFlow Lite's quantization
specification).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from quantize.float_graph import FloatGraph, FloatOperator
from quantize.simulate import STEPS, WEIGHT_PEAK, scale_and_zero_point, weight_step
from runtime.engines.base import INPUT_STEPS
from runtime.tflite_graph import Graph

# int16 has bits to spare, which keep what calibration did not see.
_HEADROOM = 2.0
_INT16_PEAK = 32767
_LARGEST_BIAS = 2**30


def write(graph: FloatGraph, ranges: dict[int, tuple[float, float]]) -> Any:
    """The graph as a `ModelT` of its scheme.

    ranges: (low, high) of each group of tensors with one scale, the input's too.
    """
    model = copy.deepcopy(graph.file.model)
    tensors = model.subgraphs[0].tensors
    for tensor in graph.activations:
        limits = ranges[graph.scale_group[tensor]]
        if graph.scheme.wide:
            _make_int16(tensors[tensor], limits, tensor == graph.input)
        else:
            scale, zero_point = scale_and_zero_point(*map(torch.tensor, limits))
            tensors[tensor].type = schema.TensorType.INT8
            tensors[tensor].quantization = _quantization(scale.reshape(1), int(zero_point))
    operators = Graph.of(model).operators
    for written, op in zip(operators, graph.operators, strict=True):
        code = model.operatorCodes[written.packed.opcodeIndex]
        code.version = int((op.facts.int16 if graph.scheme.wide else op.facts.int8) or code.version)
        if op.layer is not None:
            input_scale = float(tensors[op.inputs[0]].quantization.scale[0])
            _write_layer(model, written.packed, graph, op, input_scale)
        if graph.scheme.wide and op.kind == "ADD":
            written.options.potScaleInt16 = False
    flatbuffer.drop_unused(model)
    return model


def _make_int16(tensor: Any, limits: tuple[float, float], is_input: bool) -> None:
    """The input's step is a power of two of the pixels', so that a pixel stays a whole number."""
    peak = max(abs(limit) for limit in limits)
    step = (
        (limits[1] - limits[0]) / STEPS / INPUT_STEPS
        if is_input
        else _HEADROOM * peak / _INT16_PEAK
    )
    tensor.type = schema.TensorType.INT16
    tensor.quantization = _quantization(torch.tensor([step]), 0)


def _write_layer(
    model: Any, written: Any, graph: FloatGraph, op: FloatOperator, input_scale: float
) -> None:
    assert op.layer is not None
    weight, bias = graph.weights[op.layer], graph.biases[op.layer].double()
    step = weight_step(weight, graph.scheme.per_channel)
    if not graph.scheme.wide:  # A channel of tiny weights with a bias: the bias must fit 32 bits.
        step = torch.maximum(step, bias.abs().reshape(step.shape) / (input_scale * _LARGEST_BIAS))
    if not graph.scheme.per_channel:
        step = step.max().expand_as(step)
    step = step.float()
    values = torch.round(weight / step).clamp(-WEIGHT_PEAK, WEIGHT_PEAK).to(torch.int8)
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    in_file = values.permute((1, 2, 3, 0) if depthwise else (0, 2, 3, 1)).contiguous().numpy()
    scale = step.flatten() if graph.scheme.per_channel else step.flatten()[:1]
    bias_scale = scale * input_scale
    kind = torch.int64 if graph.scheme.wide else torch.int32
    whole = torch.round(bias / bias_scale.double()).to(kind).numpy()
    axis = 3 if depthwise else 0
    name = f"layer_{op.layer:03d}"
    quantized = _quantization(scale, 0, axis)
    weights = flatbuffer.add_tensor(model, f"{name}/weight", in_file, "INT8", quantized)
    quantized = _quantization(bias_scale, 0)
    written_as = "INT64" if graph.scheme.wide else "INT32"
    biases = flatbuffer.add_tensor(model, f"{name}/bias", whole, written_as, quantized)
    written.inputs = [written.inputs[0], weights, biases]


def _quantization(scale: torch.Tensor, zero_point: int, axis: int = 0) -> Any:
    result = schema.QuantizationParametersT()
    result.scale = scale.float().numpy()
    result.zeroPoint = np.full(len(scale), zero_point, np.int64)
    result.quantizedDimension = axis
    return result
