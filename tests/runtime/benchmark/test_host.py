"""`bench` without a board, with the tool that ai-edge-litert installs: its figures are measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.runtime.benchmark.conftest import Done

Command = Callable[..., Done]


def check(done: Done, model: Path, runs: int) -> None:
    assert done.code == 0, done.err
    found = json.loads(Path(f"benchmark/{model.stem}-host-cpu-1t.json").read_text())
    steady, settings = found["steady"], found["settings"]
    assert steady["count"] == settings["runs"] == runs
    assert 0 <= steady["min_ms"] <= steady["median_ms"] <= steady["max_ms"]
    assert steady["min_ms"] <= steady["mean_ms"] <= steady["max_ms"]
    assert found["init_ms"] > 0 and found["first_ms"] > 0
    assert settings["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    (row,) = [line for line in done.out.splitlines() if model.name in line and " ms " in line]
    assert f"{steady['mean_ms']:.2f} ms" in row and "CPU (1 thread)" in row
    log = Path(f"benchmark/{model.stem}-host-cpu-1t.log").read_text()
    assert "BENCHMARK RESULTS" in log
    assert Path(f"benchmark/{model.stem}-host-cpu-1t.svg").stat().st_size > 1000


def test_a_small_model(command: Command, build: Build) -> None:
    check(command("bench", build.tflite, "--runs", "7"), build.tflite, 7)


@pytest.mark.real
def test_nxps_file(command: Command, data: Path) -> None:
    (path,) = (data / "peers").glob("nxp_*.tflite")
    check(command("bench", path, "--runs", "5"), path, 5)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"no model", [], "bad.tflite: not a TFLite file"),
        (b"1234TFL3" + bytes(range(99)), [], "bad.tflite: litert-benchmark fails (exit code 1)"),
        (None, ["--runs", "100000000", "--timeout", "1"], "did not end in 1 s"),
    ],
)
def test_what_fails_is_one_line(
    command: Command,
    build: Build,
    tmp_path: Path,
    content: bytes | None,
    options: list[str],
    message: str,
) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(content or build.tflite.read_bytes())
    done = command("bench", bad, *options)
    assert done.code == 2 and message in done.err and "\n" not in done.err
    assert list(Path.cwd().iterdir()) == []


def test_a_missing_tool(
    command: Command, build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "pip install ai-edge-litert" in command("bench", build.tflite).err


@pytest.mark.parametrize(
    "option",
    ["--accelerator", "--profile", "--boards", "--port", "--identity", "--ssh-config",
     "--ssh-option"],
)  # fmt: skip
def test_options_of_a_board_need_one(command: Command, build: Build, option: str) -> None:
    done = command("bench", build.tflite, option, "1")
    assert done.code == 2 and done.out == ""
    assert done.err.startswith(f"error: {option} goes with --board") and "\n" not in done.err
