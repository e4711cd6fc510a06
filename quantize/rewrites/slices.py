"""STRIDED_SLICE -> SLICE: the same bytes and as many instructions, but TFLite Micro keeps no
parameters of it, a hundred bytes per node."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from quantize.graph import slice_begin
from runtime import graph_file

Constants = dict[tuple[int, ...], int]
_VERSION = 2  # The first that takes int8.


def use_plain_slices(model: Any) -> None:
    """Rewrite every STRIDED_SLICE of `model` (`ModelT`) in place.

    Raises `GateFailed` for one with steps.
    """
    constants: Constants = {}
    operators = []
    for op in model.subgraphs[0].operators:
        if graph_file.operator_name(model, op) == "STRIDED_SLICE":
            begin = slice_begin(model, op)
            op = plain_slice(model, op.inputs[0], op.outputs[0], begin, constants)
        operators.append(op)
    model.subgraphs[0].operators = operators
    flatbuffer.drop_unused(model)


def plain_slice(
    model: Any, source: int, target: int, begin: tuple[int, ...], constants: Constants
) -> Any:
    """A SLICE operator; `target` has the shape to take. Equal lists share one constant."""
    op = schema.OperatorT()
    op.opcodeIndex = flatbuffer.operator_code(model, "SLICE")
    model.operatorCodes[op.opcodeIndex].version = _VERSION
    size = tuple(int(n) for n in model.subgraphs[0].tensors[target].shape)
    for values in (begin, size):
        if values not in constants:
            label = "slice_" + "x".join(str(n) for n in values)
            constants[values] = flatbuffer.add_constant(model, label, np.array(values))
    op.inputs, op.outputs = [source, constants[begin], constants[size]], [target]
    op.builtinOptionsType = schema.BuiltinOptions.SliceOptions
    op.builtinOptions = schema.SliceOptionsT()
    return op
