from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from analysis.cortex_m7 import (
    PUBLISHED_INSTRUCTIONS,
    Node,
    coefficients,
    kind_of,
    nodes,
    ns_per_instruction,
    predict,
    total,
)
from benchmarks.fit_cost import SINGLES, Counted, fit, left_out, read
from runtime.benchmark.board import load
from runtime.tflite_graph import Graph
from tests.conftest import NANODET, ROOT, Build, run_python


def test_nodes(build: Build) -> None:
    """Every operator, and a convolution's multiplications counted by hand."""
    found = nodes(Graph.read(build.tflite))
    stem = next(n for n in found if n.kind == "CONV_2D 3x3")
    assert stem.output == (1, 32, 48, 24)
    assert stem.macs == 32 * 48 * 24 * 27
    assert stem.features == (1, 32 * 48, 32 * 48 * 24, stem.macs)
    depthwise = next(n for n in found if n.kind == "DEPTHWISE_CONV_2D 3x3")
    assert depthwise.macs == math.prod(depthwise.output) * 9


def test_every_operator_of_the_kit_was_measured(build: Build) -> None:
    cost = total(Graph.read(build.tflite))
    assert not cost.unknown
    assert cost.instructions == pytest.approx(sum(cost.by_kind.values()))
    assert cost.instructions == pytest.approx(sum(n or 0 for n in cost.by_node))


@pytest.mark.parametrize(
    ("operator", "read", "weight", "output", "kind", "reason"),
    [
        ("CONV_2D", [1, 9, 9, 8], [16, 1, 1, 8], [1, 9, 9, 16], "CONV_2D 1x1", "plain"),
        ("CONV_2D", [1, 9, 9, 8], [8, 3, 3, 1], [1, 9, 9, 8], "CONV_2D grouped", "as depthwise"),
        (
            "DEPTHWISE_CONV_2D",
            [1, 9, 9, 8],
            [1, 5, 5, 8],
            [1, 9, 9, 8],
            "DEPTHWISE_CONV_2D 5x5",
            "by kernel",
        ),
        ("AVERAGE_POOL_2D", [1, 8, 8, 4], [], [1, 2, 2, 4], "AVERAGE_POOL_2D 4x4", "by window"),
        ("CONCATENATION", [1, 8, 8, 4], [], [1, 8, 8, 9], "CONCATENATION", "of channels"),
        ("CONCATENATION", [1, 8, 8, 4], [], [1, 9, 8, 4], "CONCATENATION of rows", "one copy each"),
        ("TRANSPOSE", [1, 2, 3], [], [1, 3, 2], "TRANSPOSE", "few dimensions"),
        ("TRANSPOSE", [1] * 5, [], [1] * 5, "TRANSPOSE wide", "TFLM's generic path"),
        ("ADD", [1], [], [1], "ADD", "itself"),
    ],
)
def test_kinds(
    operator: str, read: list[int], weight: list[int], output: list[int], kind: str, reason: str
) -> None:
    assert kind_of(operator, read, weight, output) == kind


def test_single_operators_as_counted() -> None:
    """Counted in an emulator, one operator a model; LEAKY_RELU and slices depend on the data."""
    rows = [row for row in read(SINGLES) if row.instructions > 100_000]
    assert len(rows) > 60
    known = coefficients()
    for row in rows:
        found = predict(row.node, known)
        # How many tensors a concatenation joins is not known from its shapes.
        error = 0.25 if row.node.kind == "CONCATENATION" else 0.15
        assert found == pytest.approx(row.instructions, rel=error), row


def test_prediction_is_linear() -> None:
    node = Node("n", "ADD", (1, 10, 10, 96), 0)
    assert predict(node, {"ADD": [7, 2, 3, 100]}) == 7 + 2 * 100 + 3 * 9600
    assert predict(node, {}) is None


def test_facts_known_from_elsewhere() -> None:
    """Figures published for these kernels: instructions an output element."""
    node = Node("n", "", (1, 20, 20, 96), 0)
    for kind, wanted in (("ADD", 75), ("QUANTIZE", 50), ("RESIZE_BILINEAR", 60)):
        known = {"": coefficients()[kind]}
        assert (predict(node, known) or 0) / 38_400 == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(
    ("board", "ns", "reason"),
    [
        ("imxrt1170", 1.549, "615 ms published"),
        ("imxrt1050", 1.942, "771 ms published"),
        ("imx8mp", None, "no microcontroller, whatever was published"),
        ("host", None, "nothing was published"),
    ],
)
def test_time_of_an_instruction(board: str, ns: float | None, reason: str) -> None:
    found = ns_per_instruction(load(board))
    assert found == (ns if ns is None else pytest.approx(ns, abs=5e-4)), reason


def test_command(build: Build, tmp_path: Path) -> None:
    done = run_python(tmp_path, NANODET, "cost", str(build.tflite), "--nodes")
    assert done.returncode == 0, done.stderr
    assert "M instructions on a Cortex-M7, predicted" in done.stdout
    size = build.tflite.stat().st_size
    tflm, engine = done.stdout.split("the kit's own engine (--engine c)\n")
    flash, *boards = tflm.splitlines()[-6:]
    assert f"{size:,} bytes of flash" in flash
    titles = "i.MX RT1050", "i.MX RT1060", "i.MX RT1064", "i.MX RT1170", "MCX N947"
    places = "DTCM", "DTCM", "DTCM", "DTCM", "SRAMX"
    assert [line.split(" at best")[0] for line in boards] == [
        f"{title}: {place}" for title, place in zip(titles, places, strict=True)
    ]
    assert "M instructions on a Cortex-M7, predicted" in engine
    assert [line.split(": ")[0] for line in engine.splitlines()[-5:]] == list(titles)
    (tmp_path / "bad.tflite").write_bytes(build.tflite.read_bytes()[:999])
    done = run_python(tmp_path, NANODET, "cost", "bad.tflite")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.real
def test_counted_model(data: Path) -> None:
    """NXP's own file was counted in an emulator: 396.98 M."""
    (path,) = (data / "peers").glob("nxp_*.tflite")
    assert total(Graph.read(path)).instructions == pytest.approx(PUBLISHED_INSTRUCTIONS, rel=0.01)


def test_equal_fits_are_settled_by_features() -> None:
    """All rows have 96 channels, so pixels say what elements say: one of them must do."""
    counts = {(20, 20): 2.28e6, (40, 40): 9.40e6, (10, 10): 0.58e6, (30, 30): 5.20e6}
    rows = [
        Counted("", Node("", "RESIZE_BILINEAR", (1, *size, 96), 0), count)
        for size, count in counts.items()
    ]
    _, pixel, element, mac = fit(rows)["RESIZE_BILINEAR"]
    assert pixel == mac == 0
    assert element == pytest.approx(60, rel=0.03)


@pytest.mark.real
def test_models_left_out(data: Path) -> None:
    """The fit is the committed one, and without a model's nodes it still predicts that model."""
    rows = [*read(data / "facts" / "mcu_op_costs.csv"), *read(SINGLES)]
    committed = json.loads((ROOT / "analysis" / "cortex_m7.json").read_text())
    assert fit(rows) == {k: pytest.approx(v, rel=1e-4) for k, v in committed.items()}
    models = sorted({row.model for row in rows if row.model})
    assert len(models) == 4
    for model in models:
        errors = left_out(rows, model)
        assert abs(errors.total) < 0.05, model
        assert len(errors.by_kind) > 5
        for kind, error in errors.by_kind.items():
            assert error is not None, (model, kind)
            assert abs(error) < 0.10, (model, kind)
