"""Parameters, multiplications and operators of a TFLite file."""

from __future__ import annotations

from analysis.cortex_m7 import nodes
from pipeline.report.contract import Structure
from runtime.operators import facts_of
from runtime.tflite_graph import Graph


def structure(content: bytes, path: str, operators: dict[str, int]) -> Structure:
    """path: names the file in errors. operators: kind -> count, of `report.json`."""
    graph = Graph.parse(content, path)
    return Structure(
        parameters=_parameters(graph),
        macs=sum(node.macs for node in nodes(graph)),
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
    )


def _parameters(graph: Graph) -> int:
    """Weights and biases of the convolutions; what several share counts once."""
    # Float16 is widened on the way.
    widened = {op.output: op.input(0) for op in graph.operators}
    sizes: dict[int, int] = {}
    for op in graph.operators:
        for tensor in op.inputs[1:] if facts_of(op.name).is_convolution else ():
            constant = widened.get(tensor, tensor)
            if constant is not None:
                sizes[constant.buffer] = constant.elements
    return sum(sizes.values())
