"""The waterfall's command on a small build with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.waterfall import Bar, plot
from tests.conftest import NANODET, Build, run_here, run_python


def test_command(build: Build, annotated: Path, tmp_path: Path) -> None:
    data = ["--images", "images", "--annotations", str(annotated)]
    files = ["--weights", str(build.checkpoint), "--onnx", str(build.onnx)]
    outputs = ["--json", "w.json", "--plot", "w.svg"]
    done = run_python(tmp_path, NANODET, "waterfall", str(build.tflite), *data, *files, *outputs)
    assert done.returncode == 0, done.stderr
    steps = json.loads((tmp_path / "w.json").read_text())
    assert [s["step"] for s in steps] == [
        "float, strides 8,16,32", "rewrites", "int8, LiteRT", "int8, TFLite Micro",
    ]  # fmt: skip
    assert len(done.stdout.splitlines()) == 4
    assert steps[0]["standard_error"] is None
    assert all(s["standard_error"] >= 0 for s in steps[1:])
    assert (tmp_path / "w.svg").read_text().count("TFLite Micro") >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot", "w.gif"], ".svg or .png"),
        (["--onnx", "nowhere.onnx"], "nowhere.onnx: no such file"),
    ],
)
def test_bad_input(
    build: Build, annotated: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    data = ["--images", "images", "--annotations", str(annotated)]
    weights = ["--weights", str(build.checkpoint)]
    done = run_here(tmp_path, NANODET, "waterfall", str(build.tflite), *data, *weights, *arguments)
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_plot_bytes_repeat(tmp_path: Path) -> None:
    rows = [
        ("float", 15.19, None),
        ("cut", 11.5, 0.4),
        ("rewrites", 11.5, 0.0),
        ("int8", 11.4, 0.1),
    ]
    steps = [Bar(*row) for row in rows]
    for name in ("p.png", "p.svg"):
        for folder in ("one", "other"):
            plot(steps, "title", tmp_path / folder / name)
        one, other = ((tmp_path / f / name).read_bytes() for f in ("one", "other"))
        assert one == other
