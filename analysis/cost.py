"""`./nanodet cost MODEL.tflite`: instructions on a Cortex-M7, and memory."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli import Parser, printable

if TYPE_CHECKING:
    from analysis.cortex_m7 import Cost


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--nodes", action="store_true", help="every node, too")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Print a table."""
    options = parse_arguments(words)
    from analysis.cortex_m7 import nodes, total
    from analysis.memory import memory
    from runtime.benchmark.board import microcontrollers
    from runtime.engines.arena import reserved_bytes
    from runtime.tflite_graph import Graph

    graph = Graph.read(options.model)
    cost = total(graph)
    if options.nodes:
        for node, counted in zip(nodes(graph), cost.by_node):
            figure = f"{'unknown':>10}" if counted is None else f"{counted / 1e6:8.3f} M"
            size = "x".join(map(str, node.output))
            print(printable(f"{figure}  {node.kind:<20} {size:<16} {node.name}"))
    print("\n".join(map(printable, _instructions(cost))))
    found = memory(graph)
    at = printable(found.peak.operator)
    print(f"{found.peak.bytes:10,} bytes of tensors at once, at {at}:")
    for name, count in found.peak.tensors:
        print(f"{count:14,}  {printable(name)}")
    print(f"{found.flash_bytes:10,} bytes of flash, {found.constant_bytes:,} of them constants")
    least = reserved_bytes(found.peak.bytes, len(graph.named("LEAKY_RELU")))
    for board in microcontrollers():
        where = board.fits(least, found.flash_bytes).where
        print(f"{board.title}: {where} at best; the interpreter takes more than the tensors")
    return 0


def _instructions(cost: Cost) -> list[str]:
    """What is predicted, kind by kind, and what is not."""
    if cost.instructions is None:
        left_out = cost.left_out or "there are none"
        return [f"instructions not predicted: no operator was ever counted ({left_out})"]
    lines = [
        f"{instructions / 1e6:8.2f} M {instructions / cost.instructions:6.1%}  {kind}"
        for kind, instructions in cost.by_kind.items()
    ]
    shown = f"{cost.instructions / 1e6:8.2f} M instructions on a Cortex-M7, predicted"
    if not cost.left_out:
        return [*lines, shown]
    return [*lines, f"{shown}: at least, for nobody counted {cost.left_out}"]
