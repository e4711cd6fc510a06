"""Judges a network while it learns, by pictures that nobody learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from convert.engines import TorchEngine
from convert.network import NanoDet
from evaluation import ap_detector
from evaluation.agreement import average_precision
from quantize.float_graph import FloatGraph
from quantize.learn import Judge, Numbers
from quantize.sensitivity import GraphEngine
from runtime.spec import ModelSpec, as_trained


class Jury:
    """How far a graph finds what a network finds in float with all its strides.

    network: as trained, and as `spec` says. pictures: those that are asked about.
    """

    def __init__(self, network: NanoDet, spec: ModelSpec, pictures: Sequence[Path]) -> None:
        whole = as_trained(spec).with_strides(spec.architecture.strides)
        reference = ap_detector(TorchEngine(network.eval(), whole))
        self._pictures = pictures
        self._truth = [reference.detect(path) for path in pictures]

    def of(self, graph: FloatGraph, spec: ModelSpec) -> Judge:
        """Agreement in percent, NaN where the network finds nothing. spec: of the graph."""

        def judge(numbers: Numbers) -> float:
            weights, biases, ranges = numbers
            detector = ap_detector(GraphEngine(graph, spec, ranges, weights, biases))
            return average_precision(self._truth, [detector.detect(p) for p in self._pictures])

        return judge
