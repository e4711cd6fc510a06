"""Some operators of a TFLite file as a file of their own, and where two machines first differ."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

from quantize import flatbuffer
from runtime.tflite_graph import Graph, Operator, Tensor


class Cutter:
    """Cuts a TFLite file. operators: in the order they run; path names the file in errors."""

    def __init__(self, content: bytes, path: str) -> None:
        self._graph = Graph.parse(content, path)
        self.operators = self._graph.operators
        self._reads = [_numbers(op.inputs) for op in self.operators]
        self._makes = [_numbers(op.outputs) for op in self.operators]

    def live_after(self, count: int) -> list[int]:
        """Tensors that the first `count` operators make and that are needed later."""
        needed = _numbers(self._graph.outputs).union(*self._reads[count:])
        return sorted(set().union(*self._makes[:count]) & needed)

    def inputs_of(self, position: int) -> list[int]:
        """Tensors that an operator reads and that are no constants."""
        made = _numbers(self._graph.inputs).union(*self._makes[:position])
        return sorted(made & self._reads[position])

    def prefix(self, count: int) -> bytes:
        """A file with the first `count` operators; its outputs are those of `live_after`."""
        inputs = [t.index for t in self._graph.inputs]
        return self._cut(self.operators[:count], inputs, self.live_after(count))

    def alone(self, position: int) -> bytes:
        """A file with one operator; its inputs are those of `inputs_of`."""
        op = self.operators[position]
        return self._cut([op], self.inputs_of(position), [t.index for t in op.outputs])

    def _cut(self, operators: Sequence[Operator], inputs: list[int], outputs: list[int]) -> bytes:
        """Tensors keep their numbers. The signature goes: it names the old outputs."""
        model = copy.copy(self._graph.model)
        graph = copy.copy(model.subgraphs[0])
        graph.operators = [op.packed for op in operators]
        graph.inputs, graph.outputs = inputs, outputs
        model.subgraphs, model.signatureDefs = [graph], []
        return flatbuffer.serialize(model)


def first_difference(cutter: Cutter, differs: Callable[[int], bool]) -> int:
    """Position of the operator with which two machines begin to differ, by bisection.

    differs: do they on `prefix(count)`? On the whole graph they must. A difference is taken to
    stay in what is still needed.
    """
    agree, differ = 0, len(cutter.operators)
    while differ - agree > 1:
        middle = (agree + differ) // 2
        agree, differ = (agree, middle) if differs(middle) else (middle, differ)
    return differ - 1


def _numbers(tensors: Iterable[Tensor | None]) -> set[int]:
    return {t.index for t in tensors if t is not None}
