"""One margin: the budget, the doctor, the report and the firmware mean the same arena."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import stages
from pipeline.budget import Choice, best, read_choices
from runtime.engines.arena import reserved_bytes
from tests.conftest import NANODET, ROOT, Build, run_python

CHOICES = read_choices()


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: f"{c.input_size}-{c.strides}")
def test_budgets_at_the_boundary(choice: Choice) -> None:
    """Just what a choice reserves lets it in, a byte less does not."""
    others = [c for c in CHOICES if c.ap < choice.ap or c is choice]
    assert best(others, choice.reserved_bytes, None, "rt1170") is choice
    limit = choice.reserved_bytes - 1
    fitting = [c for c in CHOICES if c.reserved_bytes <= limit]
    if fitting:
        picked = best(CHOICES, limit, None, "rt1170")
        assert picked.reserved_bytes <= limit and picked is not choice


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
    words = [NANODET, "firmware", str(build.tflite), "--out", "fw", "--image", str(image)]
    done = run_python(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "fw" / "generated" / "nanodet_settings.h").read_text()
    reserved = int(re.findall(r"#define NANODET_ARENA_BYTES (\d+)", header)[0])
    measured = stages.measure(build.tflite, None, tmp_path / "log")
    assert measured["arena_reserved_bytes"] == reserved > measured["arena_bytes"]
    for memory_bytes, verdict in ((reserved, "fits"), (reserved - 1, "does not fit")):
        found = _doctors(build.tflite, tmp_path, memory_bytes)
        assert found["memory"][0].endswith(f": {verdict}")
        arena = [f["what"] for f in found["findings"] if f["rule"] == "arena"]
        assert bool(arena) == (verdict != "fits") and all(f"{reserved:,}" in what for what in arena)


def _doctors(model: Path, folder: Path, memory_bytes: int) -> Any:
    """What the doctor says of a board whose first memory has so many bytes."""
    text = (ROOT / "runtime/benchmark/boards/imxrt1170.yaml").read_text()
    first = re.search(r"bytes: (\d+)", text)
    assert first is not None
    boards = folder / f"boards{memory_bytes}"
    boards.mkdir()
    (boards / "small.yaml").write_text(text.replace(first[0], f"bytes: {memory_bytes}", 1))
    words = (NANODET, "doctor", str(model), "--target", "small")
    run_python(folder, *words, "--json", "d.json", "--boards", str(boards))
    return json.loads((folder / "d.json").read_text())
