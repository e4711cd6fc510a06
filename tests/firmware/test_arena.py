"""One margin: the budget, the doctor, the report and the firmware mean the same arena."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from analysis.doctor import diagnose
from firmware.layout import basis, lay_out
from pipeline import measures
from pipeline.budget import Budget, Choice, Takes, best, read_choices
from pipeline.cache import Done
from pipeline.report.latency import latencies
from pipeline.summary import build_report, summary
from runtime.benchmark.board import Board, microcontrollers
from runtime.engines.arena import MARGIN_PERCENT, TABLE_BYTES, reserved_bytes
from runtime.errors import KitError
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph
from tests.conftest import NANODET, ROOT, Build, run_here

CHOICES = [choice for choice in read_choices() if "tflm" in choice.takes]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: f"{c.model}-{c.canvas[0]}-{c.strides}")
def test_budgets_at_the_boundary(choice: Choice) -> None:
    """Just what a choice reserves lets it in, a byte less does not."""
    others = [c for c in CHOICES if c.ap < choice.ap or c is choice]
    assert best(others, Budget(_reserved(choice)), "rt1170", "tflm") is choice
    limit = _reserved(choice) - 1
    fitting = [c for c in CHOICES if _reserved(c) <= limit]
    if fitting:
        picked = best(CHOICES, Budget(limit), "rt1170", "tflm")
        assert _reserved(picked) <= limit and picked is not choice


def _reserved(choice: Choice) -> int:
    return choice.takes["tflm"].arena_bytes


@pytest.mark.parametrize(
    ("measured", "leaky_relus", "reserved", "reason"),
    [
        (0, 0, 0, "nothing"),
        (1000, 0, 1024, "1,020, aligned to 16"),
        (1000, 2, 1584, "two tables of 272 make 1,544, 2 % more 1,574.9, aligned"),
        (800, 0, 816, "816 is a multiple of 16"),
        (801, 0, 832, "a fraction above it is rounded up"),
    ],
)
def test_by_hand(measured: int, leaky_relus: int, reserved: int, reason: str) -> None:
    assert reserved_bytes(measured, leaky_relus) == reserved, reason


def test_all_say_what_the_firmware_reserves(build: Build, tmp_path: Path) -> None:
    image = tmp_path / "scene.png"
    Image.new("RGB", (60, 40)).save(image)
    words = [NANODET, "firmware", str(build.tflite), "--engine", "tflm", "--out", "fw"]
    words += ["--image", str(image)]
    done = run_here(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "fw" / "generated" / "nanodet_settings.h").read_text()
    reserved = int(re.findall(r"#define NANODET_ARENA_BYTES (\d+)", header)[0])
    measured = measures.measure(build.tflite, None, tmp_path / "log")
    assert measured["arena_reserved_bytes"] == reserved > measured["arena_bytes"]
    for memory_bytes, verdict in ((reserved, "fits"), (reserved - 1, "does not fit")):
        found = _doctors(build.tflite, tmp_path, memory_bytes)
        assert found["memory"][1].endswith(f": {verdict}")
        assert found["arena"]["reserved_bytes"] == reserved
        arena = [f["what"] for f in found["findings"] if f["rule"] == "arena"]
        assert bool(arena) == (verdict != "fits") and all(f"{reserved:,}" in what for what in arena)


class Agreeing:
    """What each of the kit says of a file, with an arena as large as it is told."""

    def __init__(self, build: Build, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._file, self._build, self._folder = TfliteFile.read(build.tflite), build, folder
        self._tables = len(Graph.read(build.tflite).named("LEAKY_RELU"))
        self._patch = monkeypatch

    def pretend(self, choice: Choice) -> None:
        """Let TFLite Micro measure what makes the firmware reserve as much as for `choice`."""
        measured = _reserved(choice) * 100 // (100 + MARGIN_PERCENT) - self._tables * TABLE_BYTES
        self._patch.setattr("analysis.arena.arena_bytes", lambda _: measured)

    def doctor(self, board: Board) -> str:
        arena = diagnose(self._build.tflite, board.name, engine="tflm")["arena"]
        return str(arena["goes_to"])

    def firmware(self, board: Board) -> str:
        selection = Selection(0.05, 0.6, 10)
        try:
            about = basis(self._file, board, selection, "bilinear")
            laid = lay_out(about, self._file, self._file.content, None)
        except KitError:
            return "nowhere"
        return laid.memory.name

    def report(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """The answers of `report.json`, of the card and of the console's summary, by the board's
        title."""
        done: dict[str, dict[str, Any]] = {
            "onnx": {"notes": [], "rewrites": [], "largest_difference": 0.0},
            "tensorflow": {"largest_difference": 0.0},
            "quantize": {"operators": {}},
            "measure": measures.measure(self._build.tflite, None, self._folder / "log"),
        }
        stages_done = [Done(name, result, {}, 1.0, False) for name, result in done.items()]
        build = self._build
        content = build_report(build.spec, build.checkpoint, "", build.tflite, stages_done, "")
        rows = latencies(
            content["cortex_m7"], content["arena_reserved_bytes"], content["tflite"]["bytes"]
        )
        card = {row.board: row.memory.split(" (")[0] for row in rows if row.memory}
        lines = summary({**content, "stages": []}, build.tflite, {}).splitlines()
        (arena,) = (line for line in lines if line.startswith("arena"))
        told = dict(place.split(" on ")[::-1] for place in arena.split(": ")[1].split(", "))
        return content["arena_goes_to"], card, told


@pytest.fixture
def agreeing(build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Agreeing:
    return Agreeing(build, monkeypatch, tmp_path)


BOARDS = microcontrollers()
# By hand: 256 x 256 with all strides reserves 476,176 bytes, 288 x 288 with one 564,032; between
# them lies what the SDK leaves free of the i.MX RT1170's OCRAM. The RT1060's holds all, and the
# RT1050's none. What is free of the MCX N947's SRAM lies between 192 x 192 and 224 x 224.
_LARGEST_IN_OCRAM, _LARGEST_IN_SRAM = 256, 192
SMALL = [c for c in CHOICES if c.model == "nanodet-m-0.5x" and c.canvas[0] >= _LARGEST_IN_SRAM]


@pytest.mark.parametrize("choice", SMALL, ids=lambda c: f"{c.canvas[0]}-{c.strides}")
def test_all_say_where_a_choice_goes(agreeing: Agreeing, choice: Choice) -> None:
    agreeing.pretend(choice)
    small = choice.canvas[0] <= _LARGEST_IN_OCRAM
    wanted = {
        "i.MX RT1050": "SDRAM",
        **dict.fromkeys(("i.MX RT1060", "i.MX RT1064"), "OCRAM"),
        "i.MX RT1170": "OCRAM" if small else "SDRAM",
        "MCX N947": "SRAM" if choice.canvas[0] <= _LARGEST_IN_SRAM else "nowhere",
    }
    assert {board.title for board in BOARDS} == set(wanted)
    assert {b.title: b.fits(_reserved(choice)).where for b in BOARDS} == wanted
    assert {b.title: agreeing.doctor(b) for b in BOARDS} == wanted
    assert {b.title: agreeing.firmware(b) for b in BOARDS} == wanted
    assert agreeing.report() == (wanted, wanted, wanted)


@pytest.mark.parametrize(
    ("arena_bytes", "reason"), [(None, "as it is"), (1 << 30, "larger than every memory")]
)
def test_all_say_where_a_file_goes(
    agreeing: Agreeing, arena_bytes: int | None, reason: str
) -> None:
    if arena_bytes is not None:
        huge = Takes(arena_bytes, 0, 0)
        agreeing.pretend(dataclasses.replace(CHOICES[0], takes={"tflm": huge}))
    doctors = {b.title: agreeing.doctor(b) for b in BOARDS}
    assert {b.title: agreeing.firmware(b) for b in BOARDS} == doctors, reason
    assert agreeing.report() == (doctors, doctors, doctors), reason
    assert ("nowhere" in doctors.values()) == (arena_bytes is not None)


def _doctors(model: Path, folder: Path, memory_bytes: int) -> Any:
    """What the doctor says of a board whose only memory on the chip has so many bytes free."""
    text = (ROOT / "runtime/benchmark/boards/imxrt1170.yaml").read_text()
    text = re.sub(r".*name: DTCM.*\n", "", text)
    first = re.search(r"free_bytes: (\d+)", text)
    assert first is not None
    boards = folder / f"boards{memory_bytes}"
    boards.mkdir()
    text = text.replace(first[0], f"free_bytes: {memory_bytes}", 1)
    (boards / "small.yaml").write_text(re.sub("aliases: .*", "", text))
    words = (NANODET, "doctor", str(model), "--target", "small", "--engine", "tflm")
    run_here(folder, *words, "--json", "d.json", "--boards", str(boards))
    return json.loads((folder / "d.json").read_text())
