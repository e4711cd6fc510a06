"""Some operators of a TFLite file as a file of their own, and where two machines first differ.

A file is cut in place: its list of operators is made shorter, and new lists of inputs and outputs
are appended. Nothing else moves, so that weights stay as they are aligned.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from ai_edge_litert import schema_py_generated as schema

from analysis.graph import Graph, Tensor

# Places of fields in tables of TensorFlow Lite's schema.
_INPUTS, _OUTPUTS, _OPERATORS, _SIGNATURES = 6, 8, 10, 18


class Cutter:
    """Cuts a TFLite file. operators: in the order they run; path names the file in errors."""

    def __init__(self, content: bytes, path: str) -> None:
        graph = Graph.parse(content, path)
        self.operators = graph.operators
        self._content = content
        self._inputs = [t.index for t in graph.inputs]
        self._outputs = _numbers(graph.outputs)
        self._reads = [_numbers(op.inputs) for op in graph.operators]
        self._makes = [_numbers(op.outputs) for op in graph.operators]

    def live_after(self, count: int) -> list[int]:
        """Tensors that the first `count` operators make and that are needed later."""
        needed = self._outputs.union(*self._reads[count:])
        return sorted(set().union(*self._makes[:count]) & needed)

    def inputs_of(self, position: int) -> list[int]:
        """Tensors that an operator reads and that are no constants."""
        made = {*self._inputs}.union(*self._makes[:position])
        return sorted(made & self._reads[position])

    def prefix(self, count: int) -> bytes:
        """A file with the first `count` operators; its outputs are those of `live_after`."""
        return self._cut(0, count, self._inputs, self.live_after(count))

    def alone(self, position: int) -> bytes:
        """A file with one operator; its inputs are those of `inputs_of`."""
        outputs = [t.index for t in self.operators[position].outputs]
        return self._cut(position, 1, self.inputs_of(position), outputs)

    def _cut(self, first: int, count: int, inputs: list[int], outputs: list[int]) -> bytes:
        content = bytearray(self._content)
        model = schema.Model.GetRootAs(content)
        graph = model.Subgraphs(0)
        start = graph._tab.Vector(graph._tab.Offset(_OPERATORS))
        # The list holds distances from its places to the operators.
        for place in range(start, start + 4 * count, 4):
            (distance,) = struct.unpack_from("<I", self._content, place + 4 * first)
            struct.pack_into("<I", content, place, distance + 4 * first)
        struct.pack_into("<I", content, start - 4, count)
        if model._tab.Offset(_SIGNATURES):  # They name the old outputs.
            place = model._tab.Vector(model._tab.Offset(_SIGNATURES))
            struct.pack_into("<I", content, place - 4, 0)
        content += bytes(-len(content) % 4)
        for field, tensors in ((_INPUTS, inputs), (_OUTPUTS, outputs)):
            place = graph._tab.Pos + graph._tab.Offset(field)
            struct.pack_into("<I", content, place, len(content) - place)
            content += struct.pack(f"<I{len(tensors)}i", len(tensors), *tensors)
        return bytes(content)


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
