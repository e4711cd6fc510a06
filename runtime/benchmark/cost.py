"""`python -m runtime.benchmark cost MODEL.tflite`: instructions on a Cortex-M7, and memory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    """Add the command to argparse's."""
    parser = commands.add_parser("cost", help="predict instructions and memory on a Cortex-M7")
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--nodes", action="store_true", help="every node, too")
    parser.set_defaults(run=show)


def show(options: argparse.Namespace) -> int:
    """Print a table."""
    from runtime.benchmark.cortex_m7 import nodes, total
    from runtime.benchmark.graph import Graph
    from runtime.benchmark.memory import memory

    graph = Graph.read(options.model)
    cost = total(graph)
    if options.nodes:
        for node, counted in zip(nodes(graph), cost.by_node):
            figure = "unknown" if counted is None else f"{counted / 1e6:8.3f} M"
            print(f"{figure}  {node.kind:<20} {'x'.join(map(str, node.output)):<16} {node.name}")
    for kind, instructions in cost.by_kind.items():
        print(f"{instructions / 1e6:8.2f} M {instructions / cost.instructions:6.1%}  {kind}")
    print(f"{cost.instructions / 1e6:8.2f} M instructions on a Cortex-M7, predicted")
    if cost.unknown:
        print(f"not counted, never measured: {', '.join(sorted(cost.unknown))}")
    found = memory(graph)
    print(f"{found.peak.bytes:10,} bytes of tensors at once, at {found.peak.operator}:")
    for name, size in found.peak.tensors:
        print(f"{size:14,}  {name}")
    print(f"{found.flash_bytes:10,} bytes of flash, {found.constant_bytes:,} of them constants")
    return 0
