"""The real thing: official weights, COCO photographs, the published and measured figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import integer
from runtime.decode import decode
from runtime.engines import LiteRtEngine, TflmEngine, dequantize
from runtime.image import list_images, load_rgb
from runtime.preprocess import to_canvas
from runtime.tflite_file import TfliteFile
from tests.conftest import ROOT

pytestmark = pytest.mark.real


def command(name: str, data: Path, folder: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *name.split(), *options],
        cwd=folder,
        env={**os.environ, "NANODET_DATA": str(data), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def evaluate(data: Path, folder: Path, *options: str, images: int = 500) -> dict[str, Any]:
    out, limit = folder / "scores.json", ("--limit", str(images))
    command(str(ROOT / "evaluate.py"), data, folder, "--json", str(out), *limit, *options)
    values: dict[str, Any] = json.loads(out.read_text())
    assert values["images"] == images
    return values


@pytest.fixture(scope="module")
def model(recipe: Path) -> TfliteFile:
    return TfliteFile.read(recipe / "nanodet_m_0.5x.tflite")


@pytest.mark.parametrize(
    ("strides", "published"),
    [
        pytest.param("32", 7.66, marks=pytest.mark.full(reason="as many images again")),
        ("8,16,32", 15.21),
    ],
)
def test_float_average_precision(
    data: Path, tmp_path: Path, strides: str, published: float
) -> None:
    values = evaluate(data, tmp_path, "--engine", "torch", "--strides", strides)
    assert values["AP"] == pytest.approx(published, abs=0.05)


@pytest.mark.parametrize(
    ("engine", "measured"),
    [
        ("litert", 7.48),
        pytest.param("tflm", 7.64, marks=pytest.mark.full(reason="reference kernels take minutes")),
    ],
)
def test_int8_average_precision(
    data: Path, model: TfliteFile, tmp_path: Path, engine: str, measured: float
) -> None:
    """As README says; another processor rounds the search for scales otherwise."""
    values = evaluate(data, tmp_path, model.path, "--engine", engine)
    assert values["AP"] == pytest.approx(measured, abs=0.15)
    assert values["model_sha256"] == model.sha256
    assert values["arithmetic"] == "integer"


@pytest.mark.full(reason="two evaluations more; every box is compared in the fast set")
def test_integer_average_precision_against_float(
    data: Path, model: TfliteFile, tmp_path: Path
) -> None:
    one, other = (
        evaluate(data, tmp_path, model.path, "--arithmetic", arithmetic)["AP"]
        for arithmetic in ("integer", "float")
    )
    assert one == pytest.approx(other, abs=0.05)


def test_integer_post_processing_against_float(data: Path, model: TfliteFile, full: bool) -> None:
    """Every box above 0.3."""
    engine, tables = LiteRtEngine(model), integer.make_tables(model.spec, model.outputs, 0.3)
    boxes = 0
    for path in list_images(data / "coco" / "val500")[: 500 if full else 100]:
        raw = engine.infer_raw(to_canvas(load_rgb(path), model.spec.input)[0])
        found = integer.decode(raw, tables, model.spec).in_pixels()
        real = {t.name: dequantize(raw[t.name], t) for t in model.outputs}
        wanted = decode(real, model.spec, 0.3)
        assert len(found) == len(wanted)
        # Integers put equal scores in the order that floats come in.
        order = np.argsort(-np.rint(wanted.confidence * 65536.0), kind="stable")
        np.testing.assert_array_equal(found.class_id, wanted.class_id[order])
        assert np.abs(found.xyxy - wanted.xyxy[order]).max(initial=0) <= 0.5
        boxes += len(found)
    assert boxes > 100, "a picture has more than one box, or nothing was compared"


@pytest.mark.full(reason="the recipe's own gate compares the outputs")
def test_onnx_equals_torch(data: Path, tmp_path: Path) -> None:
    options = ("--stop-after", "onnx", "--out", str(tmp_path))
    command("-m pipeline", data, tmp_path, *options)
    onnx, torch = (
        evaluate(data, tmp_path, *options, images=100)
        for options in (
            (str(tmp_path / "nanodet_m_0.5x_s8.onnx"), "--engine", "onnx"),
            ("--engine", "torch", "--strides", "8,16,32"),
        )
    )
    assert onnx["AP"] == pytest.approx(torch["AP"], abs=0.02)


def test_the_file(recipe: Path, model: TfliteFile) -> None:
    """Sizes as README says, within 3 %: another processor finds other scales."""
    assert len(model.content) == pytest.approx(302_720, rel=0.03)
    assert model.input.shape == (1, 320, 320, 3)
    assert [t.shape for t in model.outputs] == [(1, 10, 10, 80), (1, 10, 10, 32)]
    report = json.loads((recipe / "build" / "nanodet_m_0.5x" / "report.json").read_text())
    assert not set(report["tflite"]["operators"]) & {"PAD", "PADV2", "LOGISTIC", "QUANTIZE"}
    assert sum(report["tflite"]["operators"].values()) == 210
    assert report["arena_bytes"] == pytest.approx(652_672, rel=0.03)
    assert report["tflite"]["sha256"] == model.sha256


@pytest.mark.full(reason="a second build; the small build of tests/robustness repeats, too")
def test_two_clean_builds_are_the_same_bytes(data: Path, model: TfliteFile, tmp_path: Path) -> None:
    command("-m pipeline", data, tmp_path, "--out", str(tmp_path))
    assert (tmp_path / "nanodet_m_0.5x.tflite").read_bytes() == model.content


def test_engines_stay_close_on_photographs(data: Path, model: TfliteFile) -> None:
    """Kernels round otherwise, and what one adds the next one carries on. On five pictures the mean
    was 0.8 to 1.6 steps of 256, the largest 11."""
    xnnpack, micro = LiteRtEngine(model), TflmEngine(model)
    for path in list_images(data / "coco" / "val500")[:5]:
        canvas, _ = to_canvas(load_rgb(path), model.spec.input)
        expected, found = micro.infer_raw(canvas), xnnpack.infer_raw(canvas)
        for name, values in expected.items():
            steps = np.abs(values.astype(int) - found[name])
            assert steps.mean() < 2 and steps.max() <= 16, f"{path.name} {name}"
