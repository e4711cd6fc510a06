"""GATHER of a channel shuffle -> RESHAPE, TRANSPOSE of rank 3, RESHAPE.

GATHER is no operator of the targets: TFLite Micro refuses it and NPU compilers leave it to the
CPU. A shuffle with g groups of n channels is a transpose of (pixels, g, n) to (pixels, n, g). It
moves bytes and changes none, so it is exact in a quantized file too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quantize import flatbuffer
from runtime.errors import GateFailed
from runtime.tflite_graph import Graph, Operator


def replace_gathers(model: Any) -> int:
    """Rewrite every GATHER of `model` (`ModelT`) in place; returns how many there were.

    Raises `GateFailed` for a GATHER that is no channel shuffle of an NHWC tensor.
    """
    graph = Graph.of(model)
    lists = flatbuffer.Lists(model, "shuffle")
    operators: list[Any] = []
    for op in graph.operators:
        operators += _transpose(model, op, lists) if op.name == "GATHER" else [op.packed]
    model.subgraphs[0].operators = operators
    flatbuffer.drop_unused(model)
    return graph.counts["GATHER"]


def restore_gathers(model: Any) -> None:
    """The inverse of `replace_gathers`, in place: RESHAPE, TRANSPOSE, RESHAPE -> GATHER."""
    found: list[Operator] = []
    operators: list[Any] = []
    for op in Graph.of(model).operators:
        found.append(op)
        operators.append(op.packed)
        if [o.name for o in found[-3:]] == ["RESHAPE", "TRANSPOSE", "RESHAPE"]:
            operators[-3:] = [_gather(model, *found[-3:])]
            found.clear()
    model.subgraphs[0].operators = operators


def _gather(model: Any, split: Operator, swap: Operator, join: Operator) -> Any:
    _, groups, per_group = split.outputs[0].shape
    if swap.inputs[0] != split.outputs[0] or join.inputs[0] != swap.outputs[0]:
        raise GateFailed("RESHAPE, TRANSPOSE, RESHAPE is no channel shuffle")
    indices = np.arange(groups * per_group).reshape(groups, per_group).T.ravel()
    constant = flatbuffer.add_constant(model, "shuffle_indices", indices)
    inputs, outputs = [split.packed.inputs[0], constant], [join.outputs[0].index]
    return flatbuffer.operator(model, "GATHER", inputs, outputs, axis=3)


def _transpose(model: Any, gather: Operator, lists: flatbuffer.Lists) -> list[Any]:
    source, target = gather.packed.inputs[0], gather.outputs[0]
    _, height, width, channels = shape = target.shape
    groups = _groups(gather.constant(1).values, channels)
    if groups is None or gather.options.axis % 4 != 3:
        raise GateFailed(f"{target.name}: GATHER is no channel shuffle")
    split = (height * width, groups, channels // groups)
    swapped = (split[0], split[2], split[1])
    before = flatbuffer.add_activation(model, f"{target.name}/split", split, source)
    after = flatbuffer.add_activation(model, f"{target.name}/swapped", swapped, source)
    return [
        _reshape(model, source, before, split, lists),
        flatbuffer.operator(model, "TRANSPOSE", [before, lists.index((0, 2, 1))], [after]),
        _reshape(model, after, target.index, shape, lists),
    ]


def _reshape(
    model: Any, source: int, target: int, shape: tuple[int, ...], lists: flatbuffer.Lists
) -> Any:
    inputs = [source, lists.index(shape)]
    return flatbuffer.operator(model, "RESHAPE", inputs, [target], newShape=list(shape))


def _groups(indices: np.ndarray, channels: int) -> int | None:
    """Groups of the shuffle that `indices` describes, or None if they describe no shuffle."""
    if sorted(indices) != list(range(channels)) or channels < 2:
        return None
    per_group = int(indices[1]) if indices[1] else channels
    if channels % per_group:
        return None
    shuffled = np.arange(channels).reshape(-1, per_group).T.ravel()
    return channels // per_group if np.array_equal(indices, shuffled) else None
