"""What a TFLite file takes of a microcontroller's memory, from the file alone."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.tflite_graph import Graph


@dataclass(frozen=True)
class Lifetime:
    """An activation in memory. first, last: positions of the operators from and to which it is
    needed, both included."""

    name: str
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Moment:
    """While an operator runs. bytes: of the tensors that are needed then; a planner takes as much
    or more, and TFLite Micro some tens of kilobytes beside. tensors: name and bytes, the largest
    first."""

    operator: str
    bytes: int
    tensors: tuple[tuple[str, int], ...]


_NOWHERE = Moment("no operator", 0, ())  # Of a graph that gives back what it gets.


@dataclass(frozen=True)
class Usage:
    """moments: one per operator. flash_bytes: the file. constant_bytes: weights and other constants
    in it."""

    moments: tuple[Moment, ...]
    flash_bytes: int
    constant_bytes: int

    @property
    def peak(self) -> Moment:
        """Where most is needed, first of equals."""
        return max(self.moments, key=lambda moment: moment.bytes, default=_NOWHERE)


def lifetimes(graph: Graph) -> tuple[Lifetime, ...]:
    """Of each activation. One lives until its last reader, an output to the end."""
    first = dict.fromkeys(graph.inputs, 0)
    last: dict[int, int] = {}
    for op in graph.operators:
        first.update(dict.fromkeys(op.outputs, op.position))
        for tensor in (*op.inputs, *op.outputs):
            if tensor is not None:
                last[tensor.index] = op.position
    last.update(dict.fromkeys((tensor.index for tensor in graph.outputs), len(graph.operators)))
    return tuple(
        Lifetime(tensor.name, tensor.bytes, start, last.get(tensor.index, -1))
        for tensor, start in first.items()
    )


def memory(graph: Graph) -> Usage:
    """What a graph takes."""
    lives, moments = lifetimes(graph), []
    for op in graph.operators:
        live = [(x.name, x.bytes) for x in lives if x.first <= op.position <= x.last]
        largest = tuple(sorted(live, key=lambda item: (-item[1], item[0])))
        moments.append(Moment(op.label, sum(size for _, size in largest), largest))
    return Usage(tuple(moments), len(graph.content), graph.constant_bytes)
