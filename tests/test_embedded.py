"""The kit's own model: what it detects, and that it stands in where official weights lack."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from data import locate
from tests.conftest import ROOT, run_here

NAME = "nanodet-m-0.5x-shapes"
IMAGES = 200


class Offline:
    """Runs command lines where nothing can be downloaded and no data is at hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        proxy = "http://127.0.0.1:9"  # Nobody listens there.
        self.environment = {k: v for k, v in os.environ.items() if k != "NANODET_DATA"} | {
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HTTP_PROXY": proxy,
            "HTTPS_PROXY": proxy,
        }

    def __call__(self, *command: str) -> str:
        with mock.patch.dict(os.environ, self.environment, clear=True):
            done = run_here(self.folder, *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def evaluate(self, *options: str) -> dict[str, Any]:
        limit = ("--limit", str(IMAGES))
        self(str(ROOT / "evaluate.py"), "--json", "scores.json", *limit, *options)
        values: dict[str, Any] = json.loads((self.folder / "scores.json").read_text())
        assert values["images"] == IMAGES
        return values


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Offline:
    return Offline(tmp_path_factory.mktemp("offline"))


def test_weights_are_small() -> None:
    path = locate.weights(locate.model_spec(NAME), None)
    assert path.stat().st_size == pytest.approx(620_169, rel=0.03), "half of what float32 takes"


def test_default_run_builds_it_and_says_so(
    offline: Offline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged on ten scenes here, so that it takes less."""
    monkeypatch.setattr("pipeline.inputs.EVALUATED_IMAGES", 10)
    output = offline("-m", "pipeline", "--fast", "--out", ".")
    first = output.splitlines()[0]
    assert "nanodet-m-0.5x: " in first and "cannot be had" in first and NAME in first
    summary = next(line for line in output.splitlines() if line.startswith("model "))
    assert NAME in summary and "a demo" in summary
    report = json.loads((offline.folder / "build/nanodet_m_0.5x_shapes/report.json").read_text())
    assert report["model"] == NAME and "could not be had" in report["fallback"]
    assert report["ap"]["images"] == 10
    page = (offline.folder / "build/nanodet_m_0.5x_shapes/report.html").read_text()
    assert f"This is a demo, trained on generated shapes: {report['fallback']}" in page
    last = report["waterfall"][-2]
    assert last["step"] == "int8, LiteRT" and last["AP"] == report["ap"]["AP"]
    drawn = offline(str(ROOT / "example.py"), "--tflite", "nanodet_m_0.5x_shapes.tflite")
    assert "drawn in result.jpg" in drawn


@pytest.mark.full(reason="a second build, and evaluations in three engines")
def test_average_precision(offline: Offline) -> None:
    """All strides: float at least 60, int8 near it."""
    linux = ("--target", "linux", "--without", "reconstruct", "--out", ".")
    offline("-m", "pipeline", "--model", NAME, *linux)
    model = "nanodet_m_0.5x_shapes_s8.tflite"
    wanted = offline.evaluate(model, "--engine", "torch")["AP"]
    assert wanted >= 60
    for engine in ("litert", "tflm"):
        # On all 500 within 0.3 where it was trained; another processor builds otherwise.
        assert offline.evaluate(model, "--engine", engine)["AP"] > wanted - 0.8, engine
