"""GATHER of a channel shuffle -> RESHAPE, TRANSPOSE of rank 3, RESHAPE.

GATHER is no operator of the targets: TFLite Micro refuses it and NPU compilers leave it to the
CPU. A shuffle with g groups of n channels is a transpose of (pixels, g, n) to (pixels, n, g). It
moves bytes and changes none, so it is exact in a quantized file too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from runtime import graph_file
from runtime.errors import GateFailed


def replace_gathers(model: Any) -> int:
    """Rewrite every GATHER of `model` (`ModelT`) in place; returns how many there were.

    Raises `GateFailed` for a GATHER that is no channel shuffle of an NHWC tensor.
    """
    graph = model.subgraphs[0]
    operators: list[Any] = []
    constants: dict[tuple[int, ...], int] = {}
    count = 0
    for op in graph.operators:
        if graph_file.operator_name(model, op) == "GATHER":
            operators += _transpose(model, op, constants)
            count += 1
        else:
            operators.append(op)
    graph.operators = operators
    flatbuffer.drop_unused(model)
    return count


def restore_gathers(model: Any) -> None:
    """The inverse of `replace_gathers`, in place: RESHAPE, TRANSPOSE, RESHAPE -> GATHER."""
    operators: list[Any] = []
    for op in model.subgraphs[0].operators:
        operators.append(op)
        names = [graph_file.operator_name(model, o) for o in operators[-3:]]
        if names == ["RESHAPE", "TRANSPOSE", "RESHAPE"]:
            operators[-3:] = [_gather(model, *operators[-3:])]
    model.subgraphs[0].operators = operators


def _gather(model: Any, split: Any, swap: Any, join: Any) -> Any:
    _, groups, per_group = model.subgraphs[0].tensors[split.outputs[0]].shape
    if swap.inputs[0] != split.outputs[0] or join.inputs[0] != swap.outputs[0]:
        raise GateFailed("RESHAPE, TRANSPOSE, RESHAPE is no channel shuffle")
    indices = np.arange(groups * per_group).reshape(groups, per_group).T.ravel()
    op = schema.OperatorT()
    op.opcodeIndex = flatbuffer.operator_code(model, "GATHER")
    constant = flatbuffer.add_constant(model, "shuffle_indices", indices)
    op.inputs, op.outputs = [split.inputs[0], constant], [join.outputs[0]]
    op.builtinOptionsType = schema.BuiltinOptions.GatherOptions
    op.builtinOptions = schema.GatherOptionsT()
    op.builtinOptions.axis = 3
    return op


def _transpose(model: Any, gather: Any, constants: dict[tuple[int, ...], int]) -> list[Any]:
    graph = model.subgraphs[0]
    source, indices = gather.inputs
    target = gather.outputs[0]
    tensor = graph.tensors[source]
    _, height, width, channels = shape = tuple(int(n) for n in tensor.shape)
    groups = _groups(graph_file.constant(model, indices), channels)
    if groups is None or gather.builtinOptions.axis % 4 != 3:
        raise GateFailed(f"{graph_file.text(tensor.name)}: GATHER is no channel shuffle")
    split = (height * width, groups, channels // groups)
    swapped = (split[0], split[2], split[1])
    name = graph_file.text(graph.tensors[target].name)
    before = flatbuffer.add_activation(model, f"{name}/split", split, tensor)
    after = flatbuffer.add_activation(model, f"{name}/swapped", swapped, tensor)
    return [
        _reshape(model, source, before, split, constants),
        _operator(model, "TRANSPOSE", before, after, (0, 2, 1), constants),
        _reshape(model, after, target, shape, constants),
    ]


def _groups(indices: np.ndarray, channels: int) -> int | None:
    """Groups of the shuffle that `indices` describes, or None if they describe no shuffle."""
    if sorted(indices) != list(range(channels)) or channels < 2:
        return None
    per_group = int(indices[1]) if indices[1] else channels
    if channels % per_group:
        return None
    shuffled = np.arange(channels).reshape(-1, per_group).T.ravel()
    return channels // per_group if np.array_equal(indices, shuffled) else None


def _reshape(
    model: Any,
    source: int,
    target: int,
    shape: tuple[int, ...],
    constants: dict[tuple[int, ...], int],
) -> Any:
    op = _operator(model, "RESHAPE", source, target, shape, constants)
    op.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    op.builtinOptions = schema.ReshapeOptionsT()
    op.builtinOptions.newShape = list(shape)
    return op


def _operator(
    model: Any,
    name: str,
    source: int,
    target: int,
    argument: tuple[int, ...],
    constants: dict[tuple[int, ...], int],
) -> Any:
    """An operator with one input tensor and one int32 list, which equal operators share."""
    if argument not in constants:
        label = "shuffle_" + "x".join(str(n) for n in argument)
        constants[argument] = flatbuffer.add_constant(model, label, np.array(argument))
    op = schema.OperatorT()
    op.opcodeIndex = flatbuffer.operator_code(model, name)
    op.inputs, op.outputs = [source, constants[argument]], [target]
    if name == "TRANSPOSE":
        op.builtinOptionsType = schema.BuiltinOptions.TransposeOptions
        op.builtinOptions = schema.TransposeOptionsT()
    return op
