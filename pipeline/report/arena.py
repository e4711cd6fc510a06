"""The arena over time: which tensor lies where, and when.

Tensors are placed as TensorFlow Lite Micro's greedy planner does it: the largest first, each at the
lowest offset where nothing lies that is needed at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable

from analysis.memory import Lifetime, lifetimes
from pipeline.report.contract import ArenaMap, Placed
from runtime.tflite_graph import Graph

_ALIGNMENT = 16


def place(lives: Iterable[Lifetime]) -> tuple[Placed, ...]:
    """An offset for each tensor, in order of the first operators."""
    placed: list[Placed] = []
    for life in sorted(lives, key=lambda life: (-life.bytes, life.first, life.name)):
        offset = 0
        for other in sorted(placed, key=lambda p: p.offset):
            if other.last < life.first or life.last < other.first:
                continue
            if offset + life.bytes <= other.offset:
                break
            offset = max(offset, _aligned(other.offset + other.bytes))
        placed.append(Placed(life.name, offset, life.bytes, life.first, life.last))
    return tuple(sorted(placed, key=lambda p: (p.first, p.offset)))


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def arena(content: bytes, path: str) -> ArenaMap:
    """The layout of a file's tensors, and where most are needed at once; path names the file in
    errors."""
    graph = Graph.parse(content, path)
    operators = graph.operators
    placed = place(lifetimes(graph))
    live = [[p for p in placed if p.first <= i <= p.last] for i in range(len(operators))]
    needed = [sum(p.bytes for p in tensors) for tensors in live]
    peak = needed.index(max(needed))
    return ArenaMap(
        placed=placed,
        operators=len(operators),
        planned_bytes=max(p.offset + p.bytes for p in placed),
        peak_bytes=needed[peak],
        peak=peak,
        peak_at=operators[peak].label,
        peak_tensors=tuple(sorted(live[peak], key=lambda p: (-p.bytes, p.offset))),
    )
