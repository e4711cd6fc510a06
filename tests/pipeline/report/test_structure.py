from __future__ import annotations

import math

import onnx

from pipeline.report.structure import structure
from runtime.tflite_graph import Graph
from tests.conftest import Build


def test_parameters_are_those_of_the_float_network(build: Build) -> None:
    graph = onnx.load(build.onnx).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    used = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]}
    wanted = sum(math.prod(shapes[name]) for name in used)
    found = structure(build.tflite.read_bytes(), "x", {"A": 1, "C": 3, "B": 3})
    assert found.parameters == wanted
    assert list(found.operators) == ["B", "C", "A"]


def test_units(build: Build) -> None:
    """All that eIQ Neutron's constraints allow; a scale per channel, which no NN core takes."""
    found = structure(build.tflite.read_bytes(), "x", {})
    total = len(Graph.read(build.tflite).operators)
    assert found.units["eIQ Neutron"] == {"NPU": total}
    vx = found.units["i.MX 8M Plus"]
    assert sum(vx.values()) == total and vx["shader"] > vx["NN cores"] == 6


def test_multiplications(build: Build) -> None:
    """The first convolution alone: 3x3 on 3 channels, to 48x32 cells of 24."""
    assert structure(build.tflite.read_bytes(), "x", {}).macs > 48 * 32 * 24 * 27
