"""Parameters, multiplications and operators of a TFLite file."""

from __future__ import annotations

import math
from typing import Any

from analysis.cortex_m7 import nodes
from analysis.graph import Graph
from pipeline.report.contract import Structure
from quantize.graph import CONVOLUTIONS
from runtime import graph_file


def structure(content: bytes, path: str, operators: dict[str, int]) -> Structure:
    """path: names the file in errors. operators: kind -> count, of `report.json`."""
    return Structure(
        parameters=_parameters(graph_file.parse(content)),
        macs=sum(node.macs for node in nodes(Graph.parse(content, path))),
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
    )


def _parameters(model: Any) -> int:
    """Weights and biases of the convolutions; what several share counts once."""
    graph = model.subgraphs[0]
    makers = {op.outputs[0]: op.inputs[0] for op in graph.operators}
    sizes: dict[int, int] = {}
    for op in graph.operators:
        if graph_file.operator_name(model, op) not in CONVOLUTIONS:
            continue
        for tensor in op.inputs[1:]:
            constant = graph.tensors[makers.get(tensor, tensor)]  # Float16 is widened on the way.
            sizes[constant.buffer] = math.prod(int(n) for n in constant.shape)
    return sum(sizes.values())
