"""`bench --board`, on a stand-in for a board."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import NANODET, ROOT
from tests.runtime.benchmark.conftest import (
    LOSE_CONNECTION,
    OUTPUTS,
    Done,
    StandIn,
    generate_key,
    script,
)

Command = Callable[..., Done]
CONTENT = b"\0\0\0\0TFL3" + bytes(range(256))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(CONTENT)
    return path


def test_cpu(board: StandIn, command: Command, model: Path) -> None:
    board.replay("old_cpu", "old_cpu")
    (board.play / "2.csv").write_text((OUTPUTS / "profile_with_start.csv").read_text())
    done = command("bench", model, *board.options, "--runs", "50")
    assert done.code == 0, done.err
    tool = board.play.parent / "benchmark_model"
    assert done.out.splitlines()[2:5] == [
        f"| tiny.tflite | 92.39 ms | i.MX 8M Plus | CPU (1 thread) | `{tool} --graph=tiny.tflite "
        "--num_threads=1 --num_runs=50` |",
        "| NXP's | 92.4 ms | i.MX 8M Plus | CPU (1 thread) | published: a card |",
        "| NXP's | 12.1 ms | i.MX 8M Plus | NPU | published: a card |",
    ]
    found = json.loads(Path("benchmark/tiny-imx8mp-cpu-1t.json").read_text())
    assert found["device"]["tool_version"] == "2.10.0", "the newest of two"
    assert "imx8mp" in found["device"]["kernel"]
    assert (found["init_ms"], found["first_ms"]) == (31.842, 97.411)
    assert found["cached_first_ms"] is None and found["notes"] == []
    assert found["steady"]["count"] == 50 and found["warmup"]["count"] == 6
    assert found["steady"]["mean_ms"] == pytest.approx(92.3884)
    assert [o["mean_ms"] for o in found["operators"]] == [30.5, 4.25, 11.125, 40.0, 0.5]
    assert found["published"][0]["latency_ms"] == 92.4
    names = sorted(p.name for p in Path("benchmark").iterdir())
    assert names == [f"tiny-imx8mp-cpu-1t.{s}" for s in ("json", "log", "md", "svg")]
    assert board.words.count("--num_runs=50") == 1 and "--num_runs=10" in board.words
    assert not any("external" in word for word in board.words)


def test_npu(board: StandIn, command: Command, model: Path) -> None:
    board.replay("npu_cold", "npu_cached", "npu_profile")
    done = command("bench", model, *board.options, "--accelerator", "npu", "--out", "out")
    assert done.code == 0 and done.err == ""
    found = json.loads(Path("out/tiny-imx8mp-npu.json").read_text())
    assert (found["init_ms"], found["first_ms"]) == (14.21, 4181.22)
    assert (found["cached_init_ms"], found["cached_first_ms"]) == (13.822, 35.711)
    assert found["steady"]["mean_ms"] == pytest.approx(12.075), "of the run with the graph kept"
    assert found["delegation"] == {"kind": "full", "kernels": 1}
    assert found["cpu_operators"] == {}
    assert found["footprint"]["peak_mb"] == 66.9336
    assert board.words.count(f"--external_delegate_path={board.bsp}/libvx_delegate.so") == 3
    caches = {
        line
        for number in (1, 2, 3)
        for line in (board.play / f"{number}.env").read_text().splitlines()
        if line.startswith("VIV_VX_CACHE_BINARY_GRAPH_DIR=")
    }
    assert len(caches) == 1, "cold and warm runs share the folder"
    assert "CNN_PERF=1" in (board.play / "3.env").read_text().splitlines()
    assert "CNN_PERF=1" not in (board.play / "2.env").read_text().splitlines()
    page = Path("out/tiny-imx8mp-npu.md").read_text()
    assert "| first inference, graph kept | 35.71 |" in page and "12.1 ms" in page
    picture = ElementTree.parse("out/tiny-imx8mp-npu.svg").getroot()
    assert picture.tag.endswith("svg")
    assert "$ VIV_VX_ENABLE_CACHE_GRAPH_BINARY=1" in Path("out/tiny-imx8mp-npu.log").read_text()


@pytest.mark.parametrize(
    ("outputs", "note", "column", "on_cpu"),
    [
        (("npu_partial", "npu_partial", "npu_partial_profile"),
         "took a part only; the CPU ran 2 TRANSPOSE, 1 LOGISTIC", "NPU, in part the CPU",
         {"TRANSPOSE": 2, "LOGISTIC": 1}),
        (("npu_none", "npu_none", "npu_none_profile"),
         "took nothing; the CPU ran all: 2 CONV_2D, 1 LEAKY_RELU",
         "CPU, for the NPU's delegate took nothing",
         {"CONV_2D": 2, "LEAKY_RELU": 1, "MAX_POOL_2D": 1, "QUANTIZE": 1}),
        (("npu_partial", "npu_partial", "npu_partial"),
         "the CPU ran operators that the profile does not name", "NPU, in part the CPU", {}),
    ],
    ids=["partial", "none", "without a profile"],
)  # fmt: skip
def test_fallback_is_said(
    board: StandIn,
    command: Command,
    model: Path,
    outputs: tuple[str, ...],
    note: str,
    column: str,
    on_cpu: dict[str, int],
) -> None:
    board.replay(*outputs)
    done = command("bench", model, *board.options, "--accelerator", "npu")
    assert done.code == 0 and note in done.err and column in done.out
    found = json.loads(Path("benchmark/tiny-imx8mp-npu.json").read_text())
    assert found["cpu_operators"] == on_cpu and note in found["notes"][0]
    assert note in Path("benchmark/tiny-imx8mp-npu.md").read_text()


def test_a_driver_that_keeps_nothing(board: StandIn, command: Command, model: Path) -> None:
    board.replay("npu_cold", "npu_cold", "npu_profile")
    board.then(1, 'rm "$VIV_VX_CACHE_BINARY_GRAPH_DIR"/*')
    done = command("bench", model, *board.options, "--accelerator", "npu")
    assert done.code == 0 and "the driver kept no compiled graph" in done.err


def test_delegates_that_cache_by_options(board: StandIn, command: Command, model: Path) -> None:
    """As the i.MX 93's."""
    profile = (board.bsp / "imx8mp.yaml").read_text()
    end = profile.index("    cache_environment")
    options = "    options: {enable_cycle_counter: 'true'}\n    cache_options: {cache: '{file}'}\n"
    (board.bsp / "imx8mp.yaml").write_text(profile[:end] + options)
    board.replay("npu_cold", "npu_cached", "npu_profile")
    done = command("bench", model, *board.options, "--accelerator", "npu")
    assert done.code == 0, done.err
    given = {word for word in board.words if "delegate_options" in word}
    assert len(given) == 1, "cold and warm runs share the file"
    assert re.fullmatch(
        r"--external_delegate_options=enable_cycle_counter:true;cache:/.*/cache/graph", given.pop()
    )
    assert "--external_delegate_options=enable_cycle_counter:true --num_runs=50`" in done.out


def test_interruption(board: StandIn, model: Path) -> None:
    """^C while the board is busy: the fixture sees that nothing stays there."""
    board.then(1, "sleep 100")
    # Tests that were started in the background ignore ^C, and what they start would, too.
    words = ["env", "--default-signal=INT", sys.executable, NANODET]
    words += ["bench", str(model), *board.options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while not (board.play / "calls").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in err


def failing(board: StandIn, how: str) -> None:
    """Break the stand-in."""
    tool = board.play.parent / "benchmark_model"
    if how == "crash":
        board.replay("cut_short")
        board.then(1, "kill -11 $$")
    elif how == "silent crash":
        board.replay("cut_short")
    elif how == "refusal":
        board.replay("refused")
        board.then(1, "exit 1")
    elif how == "full":
        board.then(1, "/bin/cat $0 > /dev/full || exit 1")
    elif how == "hang":
        board.then(1, "sleep 100")
    elif how == "lost":
        board.then(1, LOSE_CONNECTION)
    elif how == "no tool":
        tool.unlink()
        (tool.parent.parent.parent / "tensorflow-lite-2.9.1/examples/benchmark_model").unlink()
    elif how == "no delegate":
        (board.bsp / "libvx_delegate.so").unlink()
    elif how == "disk full":
        script(board.bin / "cat", '#!/bin/sh\n[ -n "$1" ] || exec > /dev/full\n/bin/cat "$@"\n')
    elif how == "damaged":
        script(board.bin / "sha256sum", "#!/bin/sh\necho 1234 -\n")
    elif how == "other board":
        script(board.bin / "uname", "#!/bin/sh\necho Linux imx93evk 6.1\n")
    elif how == "unknown board":
        script(board.bin / "uname", "#!/bin/sh\necho Linux toaster 6.1\n")


@pytest.mark.parametrize(
    ("how", "options", "message"),
    [
        ("crash", [], "ended half-way (signal 11); its last line: count=1 curr=4181220"),
        ("silent crash", [], "ended half-way, before the line `Inference timings`"),
        ("refusal", [], "ended half-way (exit code 1); its last line: ERROR: Benchmarking failed."),
        ("full", [], "ended half-way (no space left, exit code 1)"),
        ("hang", ["--timeout", "2"], "did not end in 2 s and was stopped; --timeout gives"),
        ("lost", [], "the connection was lost"),
        ("no tool", [], "no benchmark_model at {bsp}/tensorflow-lite-*/examples/benchmark_model"),
        ("no delegate", ["--accelerator", "npu"], "delegate {bsp}/libvx_delegate.so is missing"),
        ("disk full", [], "no space left for {tmp}/nanodet-"),
        ("damaged", [], "model.tflite arrived damaged"),
        ("other board", ["--profile", "imx8mp"], "wants `imx8mp` in uname -a, but"),
        ("unknown board", [], "`Linux toaster 6.1`, a board that no profile knows; choose one"),
        (
            "",
            ["--profile", "imxrt1170"],
            "--profile imxrt1170: not a Linux board; choose one of imx8mp",
        ),
        ("", ["--accelerator", "gpu"], "--accelerator gpu: i.MX 8M Plus has cpu, npu only"),
        ("", ["--profile", "$(touch hit)"], "board `$(touch hit)` is unknown"),
        ("", ["--ssh-option", "ProxyCommand"], "wants KEY=VALUE"),
        ("", ["--threads", "1;touch hit"], "--threads"),
        ("", ["--identity", "nowhere"], "nowhere: no such file"),
        ("", ["--identity", "{other}"], "it refuses the key"),
        ("", ["--port", "1"], "it refuses the connection"),
    ],
)
def test_what_fails_is_one_line(
    board: StandIn,
    command: Command,
    model: Path,
    tmp_path: Path,
    how: str,
    options: list[str],
    message: str,
) -> None:
    failing(board, how)
    names = {"bsp": board.bsp, "tmp": board.server.temporary, "other": tmp_path / "other"}
    if "{other}" in options:
        generate_key(tmp_path / "other")
    own = [*board.server.options, "--boards", board.bsp]
    words = [*own, *(word.format(**names) for word in options)]
    if "{other}" in options:
        words = [w for w in words if w != str(board.server.identity)]
        words.remove("--identity")
    done = command("bench", model, *words)
    assert done.code == 2 and done.out == ""
    assert done.err.startswith("error: ") and "\n" not in done.err
    assert message.format(**names) in done.err
    assert list(Path.cwd().iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize("content", [b"", b"no model at all", None])
def test_models_that_are_none(
    board: StandIn, command: Command, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "bad.tflite").write_bytes(content)
    done = command("bench", tmp_path / "bad.tflite", *board.options)
    assert done.code == 2 and "bad.tflite: " in done.err


def test_names_are_no_commands(board: StandIn, command: Command, tmp_path: Path) -> None:
    """Of model, folder and profile: on the board and in the report they are text."""
    hit = tmp_path / "hit"
    board.replay("new_cpu", "new_cpu")
    name = "a b; touch hit `touch hit` $(touch hit) ' | x.tflite"
    (tmp_path / name).write_bytes(CONTENT)
    done = command("bench", tmp_path / name, *board.options, "--threads", "4", "--out", "$(id); o")
    assert done.code == 0, done.err
    assert not hit.exists() and not Path("hit").exists()
    assert sorted(p.name for p in Path.cwd().iterdir()) == ["$(id); o"]
    assert len(list(Path("$(id); o").iterdir())) == 4
    (row,) = [line for line in done.out.splitlines() if "68.60 ms" in line]
    assert row.replace("\\|", "").count("|") == 6, "five columns"
