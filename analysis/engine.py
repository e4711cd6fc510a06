"""What a TFLite file takes on the kit's own engine, or why it does not run there."""

from __future__ import annotations

from firmware.engine.layers import read_layers
from firmware.engine.plan import Plan, make_plan
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph


def plan_of(file: TfliteFile) -> Plan:
    """Raises `KitError` for a file that the engine does not take, naming the operator."""
    graph = Graph.parse(file.content, file.path)
    pairs = [tuple(graph.signature.get(f"{x}_{s}") for x in ("cls", "reg")) for s in file.spec.graph.strides]
    if file.input.dtype != "INT8":
        raise KitError(f"{file.path}: the engine takes int8 files; use --engine tflm")
    return make_plan(read_layers(graph, pairs, file.path))
