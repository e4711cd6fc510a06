"""The stem of an int8 file for the firmware's C code, and the rest of it as a file.

Convolution, pool and activation of the first layers make the largest tensors of the network. In C
they run row by row (`firmware/nanodet/src/nanodet_stem_s8.c`); stem and rest together answer as
the whole file, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from quantize import flatbuffer
from quantize.fixed_point import quantize_multiplier
from runtime import graph_file
from runtime.errors import KitError
from runtime.spec import METADATA_NAME

_OPERATORS = frozenset("CONV_2D MAX_POOL_2D LEAKY_RELU SLICE STRIDED_SLICE CONCATENATION".split())
_SAME_PADDING = 0
_SHRINKS = 4  # Rows of the input for one of the stem's output.


@dataclass(frozen=True)
class Stem:
    """A 3x3 convolution with stride 2, a 3x3 max-pool with stride 2, and LEAKY_RELU.

    width, height: of the image. weight: int8 (channels, 3, 3, 3), rows, columns, colours. bias:
    int32 (channels,). multiplier, shift: int32 (channels,), TensorFlow Lite's fixed point from the
    accumulator to the convolution's output. zero points: of input and of that output. leaky:
    multipliers and shifts of LEAKY_RELU and its output's zero point, in the order of
    `nanodet_leaky_relu_params`.
    """

    width: int
    height: int
    weight: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    input_zero_point: int
    output_zero_point: int
    leaky: tuple[int, int, int, int, int, int]


def split(content: bytes, path: str) -> tuple[Stem, bytes]:
    """The stem, and the rest as a file whose input is the stem's output.

    Raises `KitError` where the first layers are others.
    """
    model = graph_file.parse(content)
    graph = model.subgraphs[0]
    position = _end_of_stem(model, path)
    operators, rest = graph.operators[:position], graph.operators[position:]
    stem = _read(model, operators, path)
    graph.operators, graph.inputs = rest, [operators[-1].outputs[0]]
    graph.tensors[graph.inputs[0]].name = "input"
    model.signatureDefs = []
    model.metadata = [m for m in model.metadata if graph_file.text(m.name) != METADATA_NAME]
    flatbuffer.drop_unused(model)
    return stem, flatbuffer.serialize(model)


def _end_of_stem(model: Any, path: str) -> int:
    graph = model.subgraphs[0]
    _, height, width, _ = graph.tensors[graph.inputs[0]].shape
    pooled = [int(height) // _SHRINKS, int(width) // _SHRINKS]
    for position, op in enumerate(graph.operators):
        name = graph_file.operator_name(model, op)
        if name not in _OPERATORS:
            break
        shape = [int(n) for n in graph.tensors[op.outputs[0]].shape]
        if shape[1:3] == pooled and name in ("MAX_POOL_2D", "CONCATENATION"):
            following = graph.operators[position + 1]
            follows = graph_file.operator_name(model, following) == "LEAKY_RELU"
            return position + 2 if follows else position + 1
    raise KitError(f"{path}: its first layers are no stem that can be split off")


def _read(model: Any, operators: list[Any], path: str) -> Stem:
    graph = model.subgraphs[0]
    named = [(graph_file.operator_name(model, op), op) for op in operators]
    conv = next(op for name, op in named if name == "CONV_2D")
    leaky = [op for name, op in named if name == "LEAKY_RELU"]
    source, weight, bias = (graph.tensors[i] for i in conv.inputs)
    made = graph.tensors[conv.outputs[0]]
    fused = conv.builtinOptions.fusedActivationFunction
    same = all(
        (op.builtinOptions.padding, op.builtinOptions.strideH) == (_SAME_PADDING, 2)
        for name, op in named
        if name in ("CONV_2D", "MAX_POOL_2D")
    )
    if not leaky or fused or not same or [int(n) for n in weight.shape[1:]] != [3, 3, 3]:
        raise KitError(
            f"{path}: its first layers are no 3x3 convolution, pool and LEAKY_RELU with SAME "
            "padding; build it without --disable-rewrite rotate_180"
        )
    _, height, width, _ = graph.tensors[graph.inputs[0]].shape
    ratios = _scales(source) * _scales(weight).astype(np.float64) / _scales(made)
    fixed = [quantize_multiplier(float(ratio)) for ratio in ratios]
    return Stem(
        int(width),
        int(height),
        _values(model, weight, "<i1"),
        _values(model, bias, "<i4"),
        np.array([multiplier for multiplier, _ in fixed], np.int32),
        np.array([shift for _, shift in fixed], np.int32),
        _zero_point(source),
        _zero_point(made),
        _leaky(graph, leaky[0]),
    )


def _leaky(graph: Any, op: Any) -> tuple[int, int, int, int, int, int]:
    source, made = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    one, other = float(_scales(source)[0]), float(_scales(made)[0])
    identity = quantize_multiplier(one / other)
    alpha = quantize_multiplier(one * float(op.builtinOptions.alpha) / other)
    return _zero_point(source), _zero_point(made), *identity, *alpha


def _scales(tensor: Any) -> np.ndarray:
    scales: np.ndarray = np.asarray(tensor.quantization.scale, np.float64)
    return scales


def _zero_point(tensor: Any) -> int:
    return int(tensor.quantization.zeroPoint[0])


def _values(model: Any, tensor: Any, dtype: str) -> np.ndarray:
    content = bytes(model.buffers[tensor.buffer].data)
    return np.frombuffer(content, dtype).reshape([int(n) for n in tensor.shape])
