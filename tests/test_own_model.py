"""A user's own model: upstream configuration, Lightning checkpoint, other classes, size, ReLU6."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from PIL import Image

from convert.checkpoint import load_network, random_network
from convert.engines import OnnxEngine, TorchEngine
from convert.training_config import read_training_config
from runtime.engines import LiteRtEngine, TflmEngine
from runtime.preprocess import float_input, to_canvas
from runtime.tflite_file import TfliteFile
from tests.conftest import ROOT, photo
from tests.convert.test_training_config import m_config

CLASSES = ["bolt", "nut", "washer"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with own.yml, own.ckpt (trained and averaged weights) and 100 images."""
    folder = tmp_path_factory.mktemp("own")
    config = m_config()
    arch = config["model"]["arch"]
    for part in ("backbone", "head"):
        arch[part]["activation"] = "ReLU6"
    arch["head"]["num_classes"] = len(CLASSES)
    config["class_names"] = CLASSES
    config["data"]["val"]["input_size"] = [256, 192]
    (folder / "own.yml").write_text(yaml.safe_dump(config))
    spec = read_training_config(folder / "own.yml")
    trained, averaged = random_network(spec, seed=1), random_network(spec, seed=2)
    state = {f"model.{k}": v for k, v in trained.state_dict().items()}
    state |= {f"avg_model.{k}": v for k, v in averaged.state_dict().items()}
    state["model.aux_head.x"] = torch.zeros(1)
    torch.save({"epoch": 1, "global_step": 2, "state_dict": state}, folder / "own.ckpt")
    (folder / "images").mkdir()
    for i in range(100):
        Image.fromarray(photo(i, 80, 60)).save(folder / "images" / f"{i:03d}.jpg")
    return folder


def recipe(own: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "--config", "own.yml", "--weights", "own.ckpt",
         "--images", "images", "--out", "out", *options],
        cwd=own,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_int8_answers_as_the_averaged_float_network(own: Path) -> None:
    output = recipe(own, "--target", "linux")
    assert "uses the averaged weights" in output
    model = TfliteFile.read(own / "out" / "own_s8.tflite")
    assert model.spec.classes == tuple(CLASSES)
    assert model.input.shape == (1, 192, 256, 3)
    assert [t.shape for t in model.outputs[:2]] == [(1, 24, 32, 3), (1, 24, 32, 32)]
    spec = read_training_config(own / "own.yml")
    trained = TorchEngine(load_network(own / "own.ckpt", spec).network, spec)
    reference = TorchEngine(random_network(spec, seed=2), spec)
    canvas, _ = to_canvas(photo(7, 80, 60), spec.input)
    expected = trained.infer(canvas)
    for name, values in reference.infer(canvas).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    lowered = OnnxEngine(own / "out" / "build" / "own_s8" / "model.onnx").infer(canvas)
    for engine in (LiteRtEngine(model), TflmEngine(model)):
        found = engine.infer(canvas)
        for name, values in lowered.items():
            # Random weights amplify rounding; other weights or channels would give about 0.
            assert np.corrcoef(values.ravel(), found[name].ravel())[0, 1] > 0.6, name


def test_onnx_for_others(own: Path) -> None:
    recipe(own, "--stop-after", "onnx", "--onnx-layout", "omz", "--classes", "nut,bolt")
    path = own / "out" / "own_s8_bolt-nut_omz.onnx"
    spec = read_training_config(own / "own.yml").with_classes(("bolt", "nut"))
    canvas, _ = to_canvas(photo(7, 80, 60), spec.input)
    pixels = float_input(canvas, spec).transpose(0, 3, 1, 2)
    (output,) = onnxruntime.InferenceSession(path).run(["output"], {"data": pixels})
    assert output.shape == (1, 32 * 24 + 16 * 12 + 8 * 6, 2 + 32)
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(pixels, "data")
    assert np.abs(net.forward("output") - output).max() < 1e-4


def test_lowered_onnx(own: Path) -> None:
    recipe(own, "--stop-after", "onnx")
    engine = OnnxEngine(own / "out" / "own.onnx")
    assert engine.spec.graph.strides == (32,)
    assert not (own / "out" / "own.tflite").exists()
