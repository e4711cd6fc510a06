"""`python -m benchmarks.engines MODEL.tflite ...`: the table of README.md that sets the two engines
of microcontrollers beside NXP's own file.

MODELs are int8 files of this kit. AP is that of TensorFlow Lite Micro's arithmetic, which the kit's
own engine repeats bit for bit; of a file that has not changed it is kept. Instructions of
TensorFlow Lite Micro are predicted, those of the engine counted on QEMU's Cortex-M7.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from analysis.cortex_m7 import total
from analysis.engine import every
from benchmarks import builds
from benchmarks.engine_cost import Machine
from benchmarks.markdown import publish
from data.names import ROOT
from runtime.engines.arena import arena_bytes
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph

RESULTS = ROOT / "benchmarks" / "results" / "engines.json"
README = ROOT / "README.md"
_HEADER = ("network", "engine", "AP", "M instructions", "arena, bytes", "flash, bytes")
# docs/results.md says how these were measured.
_NXP = (
    *("NXP's nanodet-m-0.5x at 320x320, stride 32", "TFLM"),
    *("7.33", "396.5", "1,296,712", "372,120"),
)


def rows_of(path: Path, ap: float, machine: Machine) -> Iterator[tuple[str, ...]]:
    """A file on each engine."""
    file, graph = TfliteFile.read(path), Graph.read(path)
    side, strides = file.spec.input, file.spec.graph.strides
    size = f"{side.width}x{side.height}"
    name = file.spec.name.removesuffix(f"-{side.width}")
    name = f"{name} at {size}, stride{'s'[: len(strides) - 1]} {','.join(map(str, strides))}"
    forms, predicted = every(graph.content, str(path)), total(graph).instructions
    if isinstance(forms, str) or predicted is None:
        raise KitError(f"{path}: {forms if isinstance(forms, str) else 'an unknown operator'}")
    figures = [("TFLM", predicted, arena_bytes(path), len(graph.content))]
    for weights, found in forms.items():
        counted = machine.count(path.name, found.plan).all
        figures.append((f"C, {weights}", counted, *found.sizes))
    for engine, instructions, arena, flash in figures:
        yield name, engine, f"{ap:.2f}", f"{instructions / 1e6:.1f}", f"{arena:,}", f"{flash:,}"


def main() -> None:
    """Evaluate, count, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    known = builds.read_rows(RESULTS)
    rows: list[tuple[str, ...]] = [_NXP]
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        for path in parser.parse_args().models:
            sha256 = TfliteFile.read(path).sha256
            if sha256 not in known:
                scores = Path(folder, "scores.json")
                known[sha256] = builds.evaluate(scores, str(path), "--engine", "tflm")
                builds.write_rows(RESULTS, known)
            rows += rows_of(path, known[sha256]["AP"], machine)
    publish(README, "engines", _HEADER, rows)


if __name__ == "__main__":
    main()
