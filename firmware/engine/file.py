"""From a `.tflite` file to its plan."""

from __future__ import annotations

from firmware.engine import WEIGHTS
from firmware.engine.forms import check_forms
from firmware.engine.layers import Network
from firmware.engine.plan import Plan, make_plan
from firmware.engine.reader import read_layers
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph


def network_of(file: TfliteFile) -> Network:
    """The layers. Raises `KitError` where the engine lacks a kernel, naming the operator."""
    if file.input.dtype != "INT8":
        raise KitError(f"{file.path}: the engine takes int8 files; use --engine tflm")
    if file.spec.graph.space_to_depth:
        raise KitError(f"{file.path}: the engine takes no blocks of pixels; use --target mcu")
    graph = Graph.parse(file.content, file.path)
    tensors = {tensor.name: tensor.index for tensor in graph.outputs}
    strides = file.spec.graph.strides
    pairs = [(tensors[f"cls_{stride}"], tensors[f"reg_{stride}"]) for stride in strides]
    network = read_layers(graph, pairs, file.path)
    check_forms(network, file.path)
    return network


def plan_of(file: TfliteFile, weights: str = WEIGHTS[0]) -> Plan:
    """How the engine runs a file with one of `WEIGHTS`. Raises `KitError` as above."""
    return make_plan(network_of(file), weights == "int8")
