"""evaluate.py: which strides are evaluated, and that the line with the AP says so."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import evaluate
from runtime.errors import KitError
from runtime.spec import ModelSpec
from tests.conftest import ROOT, Build, run_here


@pytest.fixture
def strides_of(build: Build, official: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The strides that a command line evaluates; `cut.tflite` has stride 32 alone."""
    read = evaluate.TfliteFile.read

    def read_or_cut(path: Path) -> Any:
        cut = SimpleNamespace(spec=official.with_strides((32,)))
        return cut if path.name == "cut.tflite" else read(path)

    def chosen(*words: str) -> tuple[int, ...]:
        job = evaluate.chosen_job(evaluate.parse_arguments(list(words)))
        return job.spec.graph.strides

    monkeypatch.setattr(evaluate.TfliteFile, "read", read_or_cut)
    return chosen


@pytest.mark.parametrize(
    ("words", "expected", "reason"),
    [
        ("--engine torch --model nanodet-m-0.5x --weights {w}", (8, 16, 32), "all of the network"),
        ("--engine torch --weights {w}", (8, 16, 32), "the default network"),
        ("cut.tflite --engine torch --weights {w}", (8, 16, 32), "the network of a file cut to 32"),
        ("--engine torch --weights {w} --classes person", (8, 16, 32), "whatever the classes"),
        ("--engine torch --weights {w} --strides 32", (32,), "told otherwise"),
        ("--engine torch --weights {w} --strides 16,32", (16, 32), "told otherwise"),
        ("cut.tflite --engine torch --weights {w} --strides 16", (16,), "told otherwise"),
        ("{t}", (8, 16, 32), "the file's own"),
        ("{o} --engine onnx", (8, 16, 32), "the file's own"),
    ],
)
def test_strides(
    strides_of: Any, build: Build, words: str, expected: tuple[int, ...], reason: str
) -> None:
    files = {"w": build.checkpoint, "t": build.tflite, "o": build.onnx}
    assert strides_of(*(word.format(**files) for word in words.split())) == expected, reason


def test_the_onnx_file_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With all strides, though recipe.sh alone builds the coarsest; how to get it is said."""
    monkeypatch.setattr(evaluate, "ROOT", tmp_path)
    options = evaluate.parse_arguments(["--engine", "onnx"])
    with pytest.raises(KitError, match=r"nanodet_m_0.5x_s8.onnx: .* recipe.sh --stop-after onnx"):
        evaluate.chosen_job(options)


@pytest.mark.parametrize("name", ["nanodet-m", "nanodet-plus-m-416", "nanodet-plus-m-1.5x-320"])
def test_every_network_has_all_its_strides(name: str) -> None:
    words = ["--engine", "torch", "--model", name]
    spec = evaluate.chosen_network(evaluate.parse_arguments(words))
    assert spec.graph.strides == spec.architecture.strides != spec.architecture.strides[-1:]


def test_the_line_with_the_ap(build: Build, annotated: Path, tmp_path: Path) -> None:
    """The line with the AP names the strides, the file with the figures, too."""
    data = ["--images", "images", "--annotations", str(annotated), "--json", "s.json"]
    network = ["--engine", "torch", "--weights", str(build.checkpoint)]
    for more, line, strides in (
        (["--strides", "16,32"], "strides 16,32 of 8,16,32: AP ", [16, 32]),
        ([], "strides 8,16,32: AP ", [8, 16, 32]),
    ):
        command = [str(ROOT / "evaluate.py"), *network, *data, *more, "--input-size", "96x64"]
        done = run_here(tmp_path, *command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-2].startswith(line)
        assert json.loads((tmp_path / "s.json").read_text())["strides"] == strides
