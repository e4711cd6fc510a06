"""The stem in strips: a third of the memory, bit for bit the same result.

What the first convolution gives is the largest tensor of the network by far. Convolution and pool
run on horizontal strips instead, of which only one is there at a time. Each strip reads four rows
more than it answers for; the last row that it computes lacks its neighbours and is cut off.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from quantize.rewrites.slices import Constants, plain_slice
from runtime import graph_file

# Where strips begin, in shares of the height. The last may be larger: with it goes the input.
_CUTS = (0.0, 0.25, 0.5, 1.0)
_SAME_PADDING = 0


def cut_stem(model: Any) -> int:
    """Cut the operators from the input to the first max-pool of an int8 `ModelT`, in place.

    Returns the number of strips; 1 where the stem cannot be cut.
    """
    graph = model.subgraphs[0]
    stem = _stem(model)
    if not stem:
        return 1
    cutter = _Cutter(model, stem)
    edges = [round(share * cutter.rows) for share in _CUTS]
    strips = [cutter.strip(start, stop) for start, stop in pairwise(edges)]
    joined = cutter.join(strips)
    graph.operators = [*cutter.operators, joined, *graph.operators[len(stem) :]]
    flatbuffer.drop_unused(model)
    return len(strips)


def _stem(model: Any) -> list[Any]:
    """The operators up to the first max-pool, if they are a chain of the kind that can be cut."""
    graph = model.subgraphs[0]
    tensor, stem = graph.inputs[0], []
    for op in graph.operators:
        name = graph_file.operator_name(model, op)
        options = op.builtinOptions
        if op.inputs[0] != tensor or name not in ("CONV_2D", "LEAKY_RELU", "MAX_POOL_2D"):
            return []
        if name != "LEAKY_RELU" and (options.strideH, options.padding) != (2, _SAME_PADDING):
            return []
        stem.append(op)
        tensor = op.outputs[0]
        if name == "MAX_POOL_2D":
            return stem
    return []


class _Cutter:
    """Makes the operators of the strips. rows: of the pool's output."""

    def __init__(self, model: Any, stem: list[Any]) -> None:
        self._model, self._stem = model, stem
        self._tensors = model.subgraphs[0].tensors
        self._constants: Constants = {}
        self._input = stem[0].inputs[0]
        self._output = stem[-1].outputs[0]
        self.rows = int(self._tensors[self._output].shape[1])
        self._step = int(self._tensors[self._input].shape[1]) // self.rows
        self.operators: list[Any] = []

    def strip(self, start: int, stop: int) -> int:
        """Append the operators for rows [start, stop) of the output; returns their tensor."""
        more = int(stop < self.rows)
        rows = (stop - start + more) * self._step
        tensor = self._slice(self._input, start * self._step, rows, f"strip_{start}")
        for op in self._stem:
            stride = getattr(op.builtinOptions, "strideH", 1)
            rows //= stride
            tensor = self._apply(op, tensor, rows, start)
        return self._slice(tensor, 0, rows - more, f"rows_{start}") if more else tensor

    def _apply(self, op: Any, tensor: int, rows: int, start: int) -> int:
        made = copy.copy(op)
        target = self._add(op.outputs[0], rows, f"strip_{start}")
        made.inputs, made.outputs = [tensor, *op.inputs[1:]], [target]
        self.operators.append(made)
        return target

    def _slice(self, source: int, begin: int, rows: int, label: str) -> int:
        target = self._add(source, rows, label)
        window = (0, begin, 0, 0)
        self.operators.append(plain_slice(self._model, source, target, window, self._constants))
        return target

    def _add(self, like: int, rows: int, label: str) -> int:
        tensor = self._tensors[like]
        batch, _, width, channels = (int(n) for n in tensor.shape)
        name = f"{graph_file.text(tensor.name)}/{label}"
        return flatbuffer.add_activation(self._model, name, (batch, rows, width, channels), tensor)

    def join(self, strips: list[int]) -> Any:
        """The operator that puts the strips together."""
        op = schema.OperatorT()
        op.opcodeIndex = flatbuffer.operator_code(self._model, "CONCATENATION")
        self._model.operatorCodes[op.opcodeIndex].version = 2
        op.inputs, op.outputs = strips, [self._output]
        op.builtinOptionsType = schema.BuiltinOptions.ConcatenationOptions
        op.builtinOptions = schema.ConcatenationOptionsT()
        op.builtinOptions.axis = 1
        return op
