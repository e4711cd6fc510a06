"""The stem in strips: a third of the memory, bit for bit the same result.

What the first convolution gives is the largest tensor of the network by far. Convolution and pool
run on horizontal strips instead, of which only one is there at a time. Each strip reads four rows
more than it answers for; the last row that it computes lacks its neighbours and is cut off.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

from quantize import flatbuffer
from quantize.rewrites.slices import plain_slice
from runtime.tflite_graph import Graph, Operator, text

# Where strips begin, in shares of the height. The last may be larger: with it goes the input.
_CUTS = (0.0, 0.25, 0.5, 1.0)


def cut_stem(model: Any) -> int:
    """Cut the operators from the input to the first max-pool of an int8 `ModelT`, in place.

    Returns the number of strips; 1 where the stem cannot be cut.
    """
    graph = Graph.of(model)
    stem = _stem(graph)
    if not stem:
        return 1
    cutter = _StemCutter(graph, stem)
    edges = [round(share * cutter.rows) for share in _CUTS]
    strips = [cutter.strip(start, stop) for start, stop in pairwise(edges)]
    output = stem[-1].outputs[0].index
    joined = flatbuffer.operator(model, "CONCATENATION", strips, [output], axis=1)
    rest = [op.packed for op in graph.operators[len(stem) :]]
    model.subgraphs[0].operators = [*cutter.operators, joined, *rest]
    flatbuffer.drop_unused(model)
    return len(strips)


def _stem(graph: Graph) -> list[Operator]:
    """The operators up to the first max-pool, if they are a chain of the kind that can be cut."""
    tensor, stem = graph.inputs[0], []
    for op in graph.operators:
        windows = op.name in ("CONV_2D", "MAX_POOL_2D") and op.halves
        if op.inputs[0] != tensor or not (windows or op.name == "LEAKY_RELU"):
            return []
        stem.append(op)
        tensor = op.outputs[0]
        if op.name == "MAX_POOL_2D":
            return stem
    return []


class _StemCutter:
    """Makes the operators of the strips. rows: of the pool's output."""

    def __init__(self, graph: Graph, stem: list[Operator]) -> None:
        self._model, self._stem = graph.model, stem
        self._lists = flatbuffer.Lists(graph.model, "slice")
        self._input = graph.inputs[0].index
        self.rows = stem[-1].outputs[0].shape[1]
        self._step = graph.inputs[0].shape[1] // self.rows
        self.operators: list[Any] = []

    def strip(self, start: int, stop: int) -> int:
        """Append the operators for rows [start, stop) of the output; returns their tensor."""
        more = int(stop < self.rows)
        rows = (stop - start + more) * self._step
        tensor = self._slice(self._input, start * self._step, rows, f"strip_{start}")
        for op in self._stem:
            rows //= getattr(op.options, "strideH", 1)
            made = copy.copy(op.packed)
            target = self._add(op.outputs[0].index, rows, f"strip_{start}")
            made.inputs, made.outputs = [tensor, *op.packed.inputs[1:]], [target]
            self.operators.append(made)
            tensor = target
        return self._slice(tensor, 0, rows - more, f"rows_{start}") if more else tensor

    def _slice(self, source: int, begin: int, rows: int, label: str) -> int:
        target = self._add(source, rows, label)
        window = (0, begin, 0, 0)
        self.operators.append(plain_slice(self._model, source, target, window, self._lists))
        return target

    def _add(self, like: int, rows: int, label: str) -> int:
        tensor = self._model.subgraphs[0].tensors[like]
        shape = (tensor.shape[0], rows, *tensor.shape[2:])
        name = f"{text(tensor.name)}/{label}"
        return flatbuffer.add_activation(self._model, name, shape, like)
