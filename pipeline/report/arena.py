"""The arena over time: which tensor lies where, and when."""

from __future__ import annotations

from analysis.arena import place
from analysis.memory import lifetimes
from pipeline.report.contract import ArenaMap
from runtime.tflite_graph import Graph


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
