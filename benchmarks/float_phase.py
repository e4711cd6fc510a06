"""`python -m benchmarks.float_phase OUT FACTOR OPTIONS...`: recipe.sh, and AP in float beside.

Writes to OUT, as JSON, COCO figures in percent on the annotated photographs of the network that
`--qat` fine-tunes in float: before this phase, after its last epoch, and of what is kept. FACTOR
multiplies the rates of both phases.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from benchmarks.builds import write_rows
from data import locate
from evaluation import CocoSet, ap_detector, detect_all, score
from pipeline.__main__ import main as recipe
from quantize.float_graph import FloatGraph
from quantize.learn import Ends, Learned, _Offsets
from quantize.sensitivity import GraphEngine
from quantize.statistics import Progress
from runtime.cli import run
from runtime.spec import ModelSpec
from train import qat


def figures(engine: GraphEngine, spec: ModelSpec) -> dict[str, float]:
    """On the annotated photographs."""
    found = locate.evaluation_set(spec, None, None, None)
    assert found is not None
    images = CocoSet.load(*found, spec.classes)
    return score(images, detect_all(ap_detector(engine), images), spec.classes).figures


class Measured(qat.FineTuning):
    """Fine-tuning whose float phase is measured."""

    out: Path

    def prepare(
        self, graph: FloatGraph, ranges: dict[int, Ends], progress: Progress
    ) -> Learned | None:
        """As it is, and what came of it."""
        spec, saved = self._spec, self._lesson.saved
        assert saved is not None
        rows, offsets = {"before": figures(GraphEngine(graph, spec), spec)}, _Offsets(graph, ranges)
        learned = super().prepare(graph, ranges, progress)
        last = torch.load(saved / "float.pt", weights_only=True)["average"]
        offsets.set(last)
        rows["last"] = figures(GraphEngine(graph, spec, *_float(offsets)), spec)
        rows["kept"] = figures(GraphEngine(graph, spec), spec)
        write_rows(self.out, rows)
        return learned


def _float(offsets: _Offsets) -> tuple[None, list[torch.Tensor], list[torch.Tensor]]:
    with torch.no_grad():
        weights, biases, _ = offsets.numbers(rounding=False)
    return None, weights, biases


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
