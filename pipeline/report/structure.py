"""Parameters, multiplications and operators of a TFLite file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analysis.cortex_m7 import nodes
from analysis.diagnosis import Placement
from analysis.rules import imx8mp, neutron
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
        units={
            "i.MX 8M Plus": _units(imx8mp.place(graph)),
            "eIQ Neutron": _units(neutron.place(graph)),
        },
    )


def _units(placements: Sequence[Placement]) -> dict[str, int]:
    return dict(Counter(placement.where for placement in placements).most_common())


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
