"""The stem of an int8 file for the firmware's C code, and the rest of it as a file.

Convolution, pool and activation of the first layers make the largest tensors of the network. In C
they run row by row (`firmware/nanodet/src/nanodet_stem_s8.c`); stem and rest together answer as
the whole file, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from quantize import flatbuffer
from quantize.fixed_point import quantize_multiplier
from quantize.package import INPUT_NAME
from runtime.errors import KitError
from runtime.spec import METADATA_NAME
from runtime.tflite_graph import Graph, Operator, text, unpack

_OPERATORS = frozenset("CONV_2D MAX_POOL_2D LEAKY_RELU SLICE STRIDED_SLICE CONCATENATION".split())
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
    model = unpack(content)
    graph = Graph.of(model)
    position = _end_of_stem(graph, path)
    stem = _read(graph, graph.operators[:position], path)
    made = graph.operators[position - 1].outputs[0].index
    packed = model.subgraphs[0]
    packed.operators, packed.inputs = packed.operators[position:], [made]
    packed.tensors[made].name = INPUT_NAME
    model.signatureDefs = []
    model.metadata = [m for m in model.metadata if text(m.name) != METADATA_NAME]
    flatbuffer.drop_unused(model)
    return stem, flatbuffer.serialize(model)


def _end_of_stem(graph: Graph, path: str) -> int:
    pooled = tuple(n // _SHRINKS for n in graph.inputs[0].shape[1:3])
    for op, following in pairwise(graph.operators):
        if op.name not in _OPERATORS:
            break
        if op.outputs[0].shape[1:3] == pooled and op.name in ("MAX_POOL_2D", "CONCATENATION"):
            return op.position + (2 if following.name == "LEAKY_RELU" else 1)
    raise KitError(f"{path}: its first layers are not a stem that can be split off")


def _read(graph: Graph, operators: Sequence[Operator], path: str) -> Stem:
    conv = next(op for op in operators if op.name == "CONV_2D")
    leaky = [op for op in operators if op.name == "LEAKY_RELU"]
    source, weight, bias = conv.inputs[0], conv.constant(1), conv.constant(2)
    made = conv.outputs[0]
    if weight.shape[3] == 1:
        raise KitError(f"{path}: its stem reads grey, and one that is split off reads colours; "
                       "leave --split-stem out, or take --engine c")  # fmt: skip
    same = all(op.halves for op in operators if op.name in ("CONV_2D", "MAX_POOL_2D"))
    fused = conv.options.fusedActivationFunction
    if source is None or not leaky or fused or not same or weight.shape[1:] != (3, 3, 3):
        raise KitError(
            f"{path}: its first layers are not a 3x3 convolution, pool and LEAKY_RELU with SAME "
            "padding; build it without --disable-rewrite rotate_180"
        )
    _, height, width, _ = graph.inputs[0].shape
    fixed = [quantize_multiplier(source.scales[0] * s / made.scales[0]) for s in weight.scales]
    return Stem(
        width,
        height,
        weight.values,
        bias.values,
        np.array([multiplier for multiplier, _ in fixed], np.int32),
        np.array([shift for _, shift in fixed], np.int32),
        source.zero_points[0],
        made.zero_points[0],
        _leaky(leaky[0]),
    )


def _leaky(op: Operator) -> tuple[int, int, int, int, int, int]:
    source, made = (t for t in (op.inputs[0], *op.outputs) if t is not None)
    one, other = source.scales[0], made.scales[0]
    identity = quantize_multiplier(one / other)
    alpha = quantize_multiplier(one * float(op.options.alpha) / other)
    return source.zero_points[0], made.zero_points[0], *identity, *alpha
