"""`./nanodet cost MODEL.tflite`: instructions on a Cortex-M7, and memory, on each engine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.engine import ENGINES, WEIGHTS
from runtime.cli import Parser, printable

if TYPE_CHECKING:
    from analysis.cortex_m7 import Cost
    from runtime.tflite_graph import Graph


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--engine", choices=ENGINES, help="only this one")
    parser.add_argument("--nodes", action="store_true", help="every node, too")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Print a table for each engine."""
    options = parse_arguments(words)
    from runtime.tflite_graph import Graph

    graph = Graph.read(options.model)
    if options.engine != "c":
        print("\n".join(map(printable, _tflm(graph, options.nodes))))
    if options.engine != "tflm":
        print("\n".join(map(printable, _own(graph, options.model, options.nodes))))
    return 0


def _tflm(graph: Graph, with_nodes: bool) -> Iterator[str]:
    from analysis.cortex_m7 import nodes, total
    from analysis.memory import memory
    from runtime.benchmark.board import microcontrollers
    from runtime.engines.arena import reserved_bytes

    yield "TensorFlow Lite Micro (--engine tflm)"
    cost = total(graph)
    for node, counted in zip(nodes(graph) if with_nodes else (), cost.by_node, strict=False):
        yield _node(counted, node.kind, node.output, node.name)
    yield from _instructions(cost)
    found = memory(graph)
    yield f"{found.peak.bytes:10,} bytes of tensors at once, at {found.peak.operator}:"
    for name, count in found.peak.tensors:
        yield f"{count:14,}  {name}"
    yield f"{found.flash_bytes:10,} bytes of flash, {found.constant_bytes:,} of them constants"
    least = reserved_bytes(found.peak.bytes, len(graph.named("LEAKY_RELU")))
    for board in microcontrollers():
        where = board.fits(least, found.flash_bytes).where
        yield f"{board.title}: {where} at best; the interpreter takes more than the tensors"


def _own(graph: Graph, path: Path, with_nodes: bool) -> Iterator[str]:
    from analysis.engine import brief, every
    from firmware.engine.weights import place
    from runtime.benchmark.board import microcontrollers

    yield "the kit's own engine (--engine c)"
    forms = every(graph.content, str(path))
    if isinstance(forms, str):
        yield forms
        return
    found = forms[WEIGHTS[0]]
    network = found.plan.network
    layers = network.layers if with_nodes else ()
    for layer, counted in zip(layers, found.cost.by_node, strict=False):
        made = network.values[layer.value]
        yield _node(counted, layer.kind, (made.height, made.width, made.channels), layer.name)
    yield from _instructions(found.cost)
    yield f"{found.arena_bytes:10,} bytes of arena"
    yield f"{found.flash_bytes:10,} bytes of flash: weights, tables, plan and code"
    yield f"{found.read_bytes:10,} bytes of weights read from flash in an inference"
    yield f"with int8 weights: {brief(forms['int8'])}"
    for board in microcontrollers():
        yield f"{board.title}: {place(board, lambda form: forms[form].sizes)}"


def _node(counted: float | None, kind: str, output: Sequence[int], name: str) -> str:
    figure = f"{'unknown':>10}" if counted is None else f"{counted / 1e6:8.3f} M"
    return f"{figure}  {kind:<20} {'x'.join(map(str, output)):<16} {name}"


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
