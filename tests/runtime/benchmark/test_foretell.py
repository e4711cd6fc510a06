"""`bench --board emulated`: the arithmetic, by hand; counts of real files in the full tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.benchmark import board, foretell, instructions
from runtime.benchmark.counted import KERNELS
from runtime.benchmark.emulator import Emulator
from runtime.errors import KitError
from tests.conftest import Build
from tests.runtime.benchmark.conftest import Done, script

Command = Callable[..., Done]
_GCC = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
_BOARD = """
title: T
kind: linux
soc: t
cores: {{count: 2, kind: C, mhz: {mhz}}}
emulation: {{cpu: {cpu}, midr: 0, features: f, instructions: {{built-in: {built_in}}}}}
published:
  - {{model: N, accelerator: cpu, threads: 1, latency_ms: {one}, source: s}}
  - {{model: N, accelerator: cpu, threads: {count}, latency_ms: {several}, source: s}}
  - {{model: N, accelerator: cpu, threads: 0, latency_ms: 1, source: "of no known threads"}}
  - {{model: N, accelerator: npu, threads: 0, latency_ms: 2, source: s}}
"""


def made(folder: Path, name: str, **values: object) -> board.Board:
    path = folder / f"{name}.yaml"
    path.write_text(_BOARD.format(cpu=name, **values))
    return board.Board.read(path)


@pytest.fixture
def slow(tmp_path: Path) -> board.Board:
    """Half of its time runs on all of 4 threads: 100 ms -> 50 + 50 / 4."""
    values = {"mhz": 1000, "built_in": 2_000_000, "one": 100, "count": 4, "several": 62.5}
    return made(tmp_path, "slow", **values)


@pytest.fixture
def fast(tmp_path: Path) -> board.Board:
    values = {"mhz": 2000, "built_in": 1_000_000, "one": 20, "count": 2, "several": 20}
    return made(tmp_path, "fast", **values)


@pytest.mark.parametrize(
    ("counted", "kernels", "share", "latency_ms", "reason"),
    [
        (2_000_000, "built-in", 1.0, {1: 100, 4: 62.5}, "NXP's own file takes what is published"),
        (500_000, "built-in", 0.25, {1: 25, 4: 15.625}, "a quarter of it takes a quarter"),
        (500_000, "xnnpack", None, {}, "nothing is known of NXP's file on these kernels"),
    ],
)
def test_scaling(
    slow: board.Board,
    counted: int,
    kernels: str,
    share: float | None,
    latency_ms: dict[int, float],
    reason: str,
) -> None:
    found = foretell.foretell("m.tflite", slow, kernels, counted)
    assert (found.share, found.latency_ms) == (share, latency_ms), reason
    assert (found.board, found.cpu) == ("slow", "slow")


def test_xnnpack_foretells_no_time() -> None:
    real = board.load("imx8mp")
    assert real.emulation is not None
    found = foretell.foretell("m", real, "xnnpack", real.emulation.instructions["xnnpack"])
    assert found.share == 1 and found.latency_ms == {}


def test_errors(slow: board.Board, fast: board.Board) -> None:
    # Half of the instructions at twice the clock: 25 ms instead of 100, where 20 are published.
    assert instructions.transfer_error(slow, fast, "built-in") == pytest.approx(0.25)
    # Half of 20 ms on two threads: 15 ms, where 20 are published.
    assert instructions.threads_error(slow, fast) == pytest.approx(-0.25)


def test_published_errors() -> None:
    """92.4 x (150.1 / 177.3) x (1800 / 1700) = 82.8 ms for 78.1, and what docs/boards.md says."""
    one, other = board.load("imx8mp"), board.load("imx93")
    errors = [round(instructions.transfer_error(one, other, k), 2) for k in KERNELS]
    assert errors == [0.06, -0.21]
    # (1 - 68.6 / 92.4) / (3 / 4) = 0.343 run on all threads: 78.1 x (1 - 0.343 / 2) for 73.0.
    assert round(instructions.threads_error(one, other), 2) == -0.11


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--threads", "4"], "--threads: --board emulated counts"), (["--runs", "9"], "--runs: ")],
)
def test_options_of_measurements(
    command: Command, tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "model.tflite").write_bytes(b"\0\0\0\0TFL3")
    done = command("bench", tmp_path / "model.tflite", "--board", "emulated", *options)
    assert done.code == 2 and message in done.err


@pytest.mark.parametrize(
    ("help_text", "gcc", "message"),
    [
        (
            "-cpu model",
            True,
            "qemu-aarch64 takes no plugins, by which instructions are counted; Debian 12's does",
        ),
        ("-plugin", False, "gcc is not installed, which compiles QEMU's counter; apt install gcc"),
    ],
)
def test_what_counting_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, help_text: str, gcc: bool, message: str
) -> None:
    script(tmp_path / "bin/qemu-aarch64", f"#!/bin/sh\necho ' {help_text}'\n")
    if gcc:
        script(tmp_path / "bin/gcc", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(KitError, match=message.partition(";")[0]) as refusal:
        instructions.count(Emulator("cortex-a53", tmp_path), tmp_path / "m", "built-in", 9)
    assert message in str(refusal.value)


@_GCC
def test_bench(emulate: Callable[[str], None], command: Command, build: Build) -> None:
    """What a stand-in for QEMU counts, on two CPUs and by two kinds of kernels."""
    emulate("")
    done = command("bench", build.tflite, "--board", "emulated", "--out", "out")
    assert done.code == 0 and done.err.count("note: ") == 3, done.err
    assert done.out.count(f"| `{build.tflite.name}` | cortex-") == 4
    found = json.loads(Path("out/model-emulated.json").read_text())
    assert found["notes"] == list(foretell.notes())
    assert [entry["instructions"] for entry in found["foretold"]] == [250] * 4
    assert [list(entry["latency_ms"]) for entry in found["foretold"]] == [
        *(["1", "4"], [], ["1", "2"], [])
    ]


@_GCC
@pytest.mark.parametrize("before", ["exit 5", "kill -11 $$"])
def test_what_does_not_run(
    emulate: Callable[[str], None], command: Command, build: Build, before: str
) -> None:
    emulate(before)
    done = command("bench", build.tflite, "--board", "emulated", "--out", "out")
    assert done.code == 2 and "does not run on the emulated cortex-a53 (" in done.err
    assert not Path("out").exists()


def test_table() -> None:
    real = board.load("imx93")
    row = foretell.as_table([foretell.foretell("m.tflite", real, "built-in", 30_028_903)])
    assert row.splitlines()[2] == (
        "| `m.tflite` | cortex-a76 | built-in | 30.0 | 0.20 | "
        "i.MX 93: 15.6 ms on CPU (1 thread), 14.6 ms on CPU (2 threads) |"
    )
    assert "+6%" in json.dumps(list(foretell.notes()))
