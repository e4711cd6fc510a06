"""`python -m benchmarks.float_phase OUT FACTOR OPTIONS...`: recipe.sh, and AP in float beside.

Writes to OUT, as JSON, COCO figures in percent of the network that `--qat` fine-tunes in float,
before and after this phase, on the annotated photographs. FACTOR multiplies the rates of both
phases.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.builds import write_rows
from data import locate
from evaluation import CocoSet, ap_detector, detect_all, score
from pipeline.__main__ import main as recipe
from quantize.float_graph import FloatGraph
from quantize.learn import Ends, Learned
from quantize.sensitivity import GraphEngine
from quantize.statistics import Progress
from runtime.cli import run
from runtime.spec import ModelSpec
from train import qat


def figures(graph: FloatGraph, spec: ModelSpec) -> dict[str, float]:
    """Of a graph in float."""
    found = locate.evaluation_set(spec, None, None, None)
    assert found is not None
    images = CocoSet.load(*found, spec.classes)
    detector = ap_detector(GraphEngine(graph, spec))
    return score(images, detect_all(detector, images), spec.classes).figures


class Measured(qat.FineTuning):
    """Fine-tuning whose float phase is measured."""

    out: Path

    def prepare(
        self, graph: FloatGraph, ranges: dict[int, Ends], progress: Progress
    ) -> Learned | None:
        """As it is, between two measurements."""
        rows: dict[str, Any] = {"before": figures(graph, self._spec)}
        learned = super().prepare(graph, ranges, progress)
        write_rows(self.out, {**rows, "after": figures(graph, self._spec)})
        return learned


def main() -> int:
    """Build."""
    out, factor, *words = sys.argv[1:]
    Measured.out = Path(out)
    for name in ("_FLOAT_RATE", "_INT8_RATE"):
        setattr(qat, name, float(factor) * getattr(qat, name))
    qat.FineTuning = Measured  # type: ignore[misc]
    return recipe(words)


if __name__ == "__main__":
    sys.exit(run(main))
