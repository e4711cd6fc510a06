from __future__ import annotations

from analysis.memory import memory
from pipeline.report.arena import arena
from runtime.tflite_graph import Graph
from tests.conftest import Build


def test_of_a_real_network(build: Build) -> None:
    content = build.tflite.read_bytes()
    found, wanted = arena(content, "x"), memory(Graph.parse(content, "x")).peak
    assert found.peak_bytes == wanted.bytes <= found.planned_bytes
    assert found.peak_at == wanted.operator
    named = [(p.name, p.bytes) for p in found.peak_tensors]
    assert sorted(named) == sorted(wanted.tensors)
