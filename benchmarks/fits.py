"""`python -m benchmarks.fits MODEL.tflite ...`: what fits where, the tables of docs/boards.md.

MODELs are int8 files of this kit. Each is planned on the kit's own engine, measured by TensorFlow
Lite Micro on this machine, and counted on two cores in QEMU.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis.cortex_m7 import Cost, total
from analysis.engine import deploy, every
from benchmarks.engine_cost import M7, M33, Core, Machine
from benchmarks.markdown import publish
from data.names import ROOT
from firmware.engine.plan import Plan
from firmware.engine.weights import beside_program
from runtime.benchmark.board import Board, microcontrollers
from runtime.engines.arena import arena_bytes, reserved_bytes
from runtime.errors import KitError
from runtime.tflite_graph import Graph

_CORES = M7, M33
DOCUMENT = ROOT / "docs" / "boards.md"


def fits(models: Sequence[Path]) -> list[tuple[str, ...]]:
    """A row for each file on each engine."""
    return [row for model in models for row in (_tflm(model), *_own(model))]


def _tflm(model: Path) -> tuple[str, ...]:
    graph = Graph.read(model)
    try:
        measured = arena_bytes(model)
    except KitError as refusal:
        return tuple(_refused(model, "`tflm`", str(refusal)))
    reserved = reserved_bytes(measured, len(graph.named("LEAKY_RELU")))
    sizes = reserved, len(graph.content)
    return tuple(_row(model, "`tflm`", sizes, total(graph), microcontrollers()))


def _own(model: Path) -> Iterator[tuple[str, ...]]:
    """A row for each form of weights."""
    forms = every(model.read_bytes(), str(model))
    if isinstance(forms, str):
        yield tuple(_refused(model, "`c`", forms))
        return
    for weights, found in forms.items():
        boards = [beside_program(board) for board in microcontrollers()]
        yield tuple(_row(model, f"`c`, {weights}", found.sizes, found.cost, boards))


def _row(
    model: Path, engine: str, needed: tuple[int, int], cost: Cost, boards: Sequence[Board]
) -> Iterator[str]:
    """needed: bytes of arena and flash."""
    yield from (f"`{model.name}`", engine, *(f"{count:,}" for count in needed))
    known = cost.instructions is not None
    yield f"{'at least ' * bool(cost.unknown)}{cost.instructions / 1e6:.1f}" if known else "-"  # type: ignore[operator]
    yield from (board.fits(*needed).where for board in boards)


def cores(models: Sequence[Path]) -> list[tuple[str, ...]]:
    """Instructions of the kit's own engine, counted on each core."""
    rows = []
    for model in models:
        found = deploy(model.read_bytes(), str(model))
        if not isinstance(found, str):
            counts = [_count(found.plan, model.name, core) for core in _CORES]
            rows.append((f"`{model.name}`", *(f"{count / 1e6:.1f}" for count in counts)))
    return rows


def _count(plan: Plan, name: str, core: Core) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return Machine(Path(folder), core).count(name, plan).all


def _refused(model: Path, engine: str, reason: str) -> Iterator[str]:
    yield from (f"`{model.name}`", engine, reason.removeprefix(f"{model}: "), "-", "-")
    yield from ("-" for _ in microcontrollers())


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    models = parser.parse_args().models
    titles = [board.title for board in microcontrollers()]
    header = ("file", "engine", "arena", "flash", "M instructions", *titles)
    publish(DOCUMENT, "fits", header, fits(models))
    publish(DOCUMENT, "cores", ("file", *(core.title for core in _CORES)), cores(models))


if __name__ == "__main__":
    main()
