"""Markdown, JSON and plot of a made-up result."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from runtime.benchmark import board, plot, tables
from runtime.benchmark.types import (
    Delegation,
    Device,
    Footprint,
    Measurement,
    OperatorTime,
    Phase,
    Result,
    Settings,
    count_kinds,
)

OPERATORS = tuple(OperatorTime(f"KIND_{i % 14}", f"n{i}", float(i)) for i in range(1, 29))


@pytest.fixture
def result() -> Result:
    measured = Measurement(
        Settings("a|b.tflite", "ab" * 32, 1234, "npu", 1, 50, "benchmark_model --graph=a"),
        Device("i.MX 8M Plus", "Linux imx8mp", "NXP i.MX Release", "/usr/bin/b", "2.10.0"),
        14.2,
        4181.2,
        Phase(50, 12.2, 12.0, 12.5, 12.09, 0.05, 12.0, 12.1, 12.4),
        13.8,
        35.7,
        delegation=Delegation("full", 1),
        operators=OPERATORS,
        footprint=Footprint(1.25, None, 66.9),
    )
    return Result(measured, board.load("imx8mp"), "log")


def test_card(result: Result) -> None:
    lines = tables.card(result).splitlines()
    assert lines[0] == "| Model | Average latency | Platform | Accelerator | Command |"
    assert lines[2] == (
        "| a\\|b.tflite | 12.09 ms | i.MX 8M Plus | NPU | `benchmark_model --graph=a` |"
    )
    assert "12.1 ms" in lines[3] and "| NPU |" in lines[3], "the same accelerator comes first"
    assert len(lines) == 3 + len(result.profile.published)


@pytest.mark.parametrize(
    ("accelerator", "threads", "nearest_ms"),
    [("npu", 1, 12.1), ("cpu", 1, 92.4), ("cpu", 4, 68.6)],
)
def test_nearest(result: Result, accelerator: str, threads: int, nearest_ms: float) -> None:
    settings = dataclasses.replace(
        result.measurement.settings, accelerator=accelerator, threads=threads
    )
    measured = dataclasses.replace(result.measurement, settings=settings)
    published = tables.nearest(dataclasses.replace(result, measurement=measured))
    assert published[0].latency_ms == nearest_ms


def test_page(result: Result) -> None:
    page = tables.as_markdown(result)
    for words in (
        "| initialization, graph kept | 13.80 |",
        "50 runs, 12.00 to 12.50, std 0.05, median 12.10, p95 12.40",
        "initialization 1.2 MB, peak 66.9 MB",
        "| KIND_0 | n28 | 28.000 | 6.9% |",
        "Measured with /usr/bin/b (2.10.0) on NXP i.MX Release, Linux imx8mp.",
    ):
        assert words in page
    assert "| n1 |" not in page, "the slowest only"


def test_json(result: Result) -> None:
    found = json.loads(tables.as_json(result))
    assert found["steady"]["median_ms"] == 12.1
    assert {p["source"] for p in found["published"]} == {
        "NXP eIQ model zoo, card of NanoDet-m", "NXP eIQ model zoo, an older card of NanoDet-m"
    }  # fmt: skip


def test_plot(result: Result, tmp_path: Path) -> None:
    times = plot.kinds(result)
    assert sum(times.values()) == pytest.approx(sum(o.mean_ms for o in OPERATORS))
    assert next(iter(times)) == "KIND_0" and times["KIND_0"] == 14 + 28
    assert len(times) == 13 and list(times)[-1] == "others"
    for folder in ("a", "b"):
        plot.save(result, tmp_path / folder / "plot.svg")
    one, other = ((tmp_path / folder / "plot.svg").read_bytes() for folder in ("a", "b"))
    assert one == other and b"<svg" in one


def test_names_are_plain_text(result: Result, tmp_path: Path) -> None:
    settings = dataclasses.replace(result.measurement.settings, model="a $\\frac$ \n | <b>.tflite")
    measured = dataclasses.replace(result.measurement, settings=settings)
    plot.save(dataclasses.replace(result, measurement=measured), tmp_path / "plot.svg")
    card = tables.card(dataclasses.replace(result, measurement=measured))
    assert card.splitlines()[2].startswith("| a $\\frac$ \\| <b>.tflite | 12.09 ms |")


def test_plot_without_operators(result: Result, tmp_path: Path) -> None:
    measured = dataclasses.replace(result.measurement, operators=())
    plot.save(dataclasses.replace(result, measurement=measured), tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 1000


def test_counting() -> None:
    kinds = count_kinds([OperatorTime(kind, "", 1.0) for kind in "BABCA"])
    assert list(kinds.items()) == [("A", 2), ("B", 2), ("C", 1)]
