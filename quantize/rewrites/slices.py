"""STRIDED_SLICE -> SLICE: the same bytes and as many instructions, but TFLite Micro keeps no
parameters of it, a hundred bytes per node."""

from __future__ import annotations

from typing import Any

from quantize import flatbuffer
from runtime.errors import GateFailed
from runtime.tflite_graph import Graph, Operator


def use_plain_slices(model: Any) -> None:
    """Rewrite every STRIDED_SLICE of `model` (`ModelT`) in place.

    Raises `GateFailed` for one with steps.
    """
    lists = flatbuffer.Lists(model, "slice")
    model.subgraphs[0].operators = [
        plain_slice(model, op.packed.inputs[0], op.outputs[0].index, slice_begin(op), lists)
        if op.name == "STRIDED_SLICE"
        else op.packed
        for op in Graph.of(model).operators
    ]
    flatbuffer.drop_unused(model)


def slice_begin(op: Operator) -> tuple[int, ...]:
    """Where a SLICE or STRIDED_SLICE begins, by axis of the file. Raises `GateFailed` for one
    with steps."""
    begin = tuple(int(n) for n in op.constant(1).values)
    if op.name == "SLICE":
        return begin
    options = op.options
    steps = op.constant(3).values
    if (steps != 1).any() or options.ellipsisMask or options.newAxisMask or min(begin) < 0:
        raise GateFailed(f"{op.outputs[0].name}: no plain slice")
    return tuple(0 if options.beginMask >> i & 1 else n for i, n in enumerate(begin))


def plain_slice(
    model: Any, source: int, target: int, begin: tuple[int, ...], lists: flatbuffer.Lists
) -> Any:
    """A SLICE operator; `target` has the shape to take."""
    size = tuple(int(n) for n in model.subgraphs[0].tensors[target].shape)
    inputs = [source, lists.index(begin), lists.index(size)]
    return flatbuffer.operator(model, "SLICE", inputs, [target])
