"""A user's own model: upstream configuration, Lightning checkpoint, other classes, size, ReLU6."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pycocotools.mask
import pytest
import torch
import yaml
from PIL import Image

from convert.checkpoint import load_network
from convert.engines import OnnxEngine, TorchEngine
from convert.training_config import read_training_config
from data.annotations import AnnotatedImages
from evaluation import CocoSet, ap_detector, detect_all, score
from pipeline import measures
from pipeline.__main__ import main
from quantize import equalize
from quantize.float_graph import FloatGraph
from quantize.learn import Learned
from runtime import Detections, Detector
from runtime.engines import LiteRtEngine, TflmEngine
from runtime.errors import GateFailed
from runtime.preprocess import float_input, to_canvas
from runtime.tflite_file import TfliteFile
from tests.conftest import photo, run_here
from tests.convert.test_training_config import m_config
from tests.own_network import CLASSES, scene, trained_network
from tests.random_network import random_network
from train.qat import FineTuning


@pytest.fixture(scope="module", autouse=True)
def hasty() -> Iterator[None]:
    """A fifth of the iterations by which ranges and channel scales are sought."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(equalize, "_ITERATIONS", 100)
        yield


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
    trained, averaged = random_network(spec, seed=1), trained_network(spec, seed=3)
    state = {f"model.{k}": v for k, v in trained.state_dict().items()}
    state |= {f"avg_model.{k}": v for k, v in averaged.state_dict().items()}
    state["model.aux_head.x"] = torch.zeros(1)
    torch.save({"epoch": 1, "global_step": 2, "state_dict": state}, folder / "own.ckpt")
    (folder / "images").mkdir()
    for i in range(100):
        Image.fromarray(scene(100 + i, spec).rgb).save(folder / "images" / f"{i:03d}.jpg")
    return folder


def recipe(own: Path, *options: str) -> str:
    given = ("--config", "own.yml", "--weights", "own.ckpt", "--images", "images", "--out", "out")
    done = run_here(own, "-m", "pipeline", *given, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed(own: Path) -> str:
    """What the recipe says that builds own/out; other recipes go on from its float network."""
    return recipe(own, "--target", "linux", "--without", "reconstruct")


def test_int8_detects_what_the_averaged_float_network_detects(own: Path, printed: str) -> None:
    assert "uses the averaged weights" in printed
    model = TfliteFile.read(own / "out" / "own_s8.tflite")
    assert model.spec.classes == tuple(CLASSES)
    assert model.input.shape == (1, 192, 256, 3)
    assert [t.shape for t in model.outputs[:2]] == [(1, 24, 32, 3), (1, 24, 32, 32)]
    spec = read_training_config(own / "own.yml")
    network = load_network(own / "own.ckpt", spec).network
    reference = Detector(TorchEngine(network, spec), score_threshold=0.3)
    count = 0
    for engine in (LiteRtEngine(model), TflmEngine(model)):
        # A margin below the 0.3 of the boxes compared, since scores move a little.
        detector, lenient = (Detector(engine, score_threshold=t) for t in (0.4, 0.2))
        shy = Detector(TorchEngine(network, spec), score_threshold=0.2)
        for seed in range(5):
            rgb = scene(seed, spec).rgb
            wanted = reference.detect(rgb)
            assert_among(wanted, lenient.detect(rgb), f"{engine.name} misses, scene {seed}")
            assert_among(detector.detect(rgb), shy.detect(rgb), f"{engine.name} adds, scene {seed}")
            count += len(wanted)
    assert count >= 10, "the float network detects"


def assert_among(wanted: Detections, found: Detections, message: str) -> None:
    """Each wanted box has one of its class in `found`, IoU over 0.9."""
    for box, class_id in zip(wanted.xyxy, wanted.class_id, strict=True):
        same = found.xyxy[found.class_id == class_id]
        assert max(iou(box, same), default=0) > 0.9, message


def iou(box: np.ndarray, others: np.ndarray) -> list[float]:
    """Intersection over union of one box with others, xyxy."""
    overlap = pycocotools.mask.iou(xywh(box[None]), xywh(others), [0] * len(others))
    return list(np.asarray(overlap).ravel())


def xywh(xyxy: np.ndarray) -> np.ndarray:
    return np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], 1).astype(np.float64)


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(True, id="harmful"),
        pytest.param(False, id="as it is", marks=pytest.mark.full(reason="a whole fine-tuning")),
    ],
)
def test_fine_tuning_that_harms_is_not_published(
    own: Path, harm: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Judged on a tenth of the pictures; the plain file then stands in, and the command fails."""
    learned: list[int] = []

    def adapt(self: FineTuning, graph: FloatGraph, *rest: Any) -> Learned:
        learned.append(len(self._pictures))
        if harm:
            self._epoch = 2  # What it learned is lost anyway.
        result = plain_adapt(self, graph, *rest)
        if harm:
            graph.weights = [weight.flip(0) for weight in graph.weights]
        return dataclasses.replace(result, loss=(2.0, 1.0), curve=(1.0, 2.0))

    plain_adapt = FineTuning.adapt
    monkeypatch.setattr(FineTuning, "adapt", adapt)
    out = own / f"out_{harm}"
    shutil.copytree(own / "out" / "build", out / "build")
    given = ["--config", "own.yml", "--weights", "own.ckpt", "--images", "images"]
    given += ["--target", "linux", "--without", "reconstruct,equalize"]
    given += ["--qat", "images", "--out", str(out)]
    monkeypatch.chdir(own)
    monkeypatch.setattr("sys.argv", ["recipe.sh", *given])
    if harm:
        with pytest.raises(GateFailed, match=r"--qat: agreement .* 10 pictures held out"):
            main()
    else:
        assert main() == 0
    assert learned == [90]
    quantized, plain = (out / "build" / "own_s8" / f"{n}.tflite" for n in ("quantize", "plain"))
    assert quantized.read_bytes() != plain.read_bytes()
    assert (out / "own_s8.tflite").read_bytes() == (plain if harm else quantized).read_bytes()
    report = json.loads((out / "build" / "own_s8" / "report.json").read_text())
    assert report["quantization"]["qat_images"] == (0 if harm else 90)
    judged = report["agreement"]
    assert (judged["tuned"] <= judged["plain"] + 2 * judged["standard_error"]) == harm
    tuning = report["fine_tuning"]
    assert (tuning["int8"], tuning["float"]) == ([1.0, 2.0], None)
    assert (tuning["published"], tuning["compared"]) == (not harm, judged)
    assert "pictures held out" in (out / "build" / "own_s8" / "report.html").read_text()
    assert not list((out / "build" / "own_s8").glob("tuning-*")), "nothing is left of the run"
    told = capsys.readouterr().out
    assert "] compare      agreement" in told and told.count("unchanged") == 2, "onnx, tensorflow"


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


def test_strides_that_mcu_leaves_out(own: Path, printed: str, tmp_path: Path) -> None:
    """Blocks of 48 to 96 pixels, which single strides find in part."""
    assert "alone" not in printed, "all strides"
    spec = read_training_config(own / "own.yml")
    boxes, listed = [], []
    for i in range(10):
        made = scene(100 + i, spec)
        listed.append({"id": i, "file_name": f"{i:03d}.jpg"})
        boxes += [
            {"id": 0, "image_id": i, "category_id": int(c), "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for (x0, y0, x1, y1), c in zip(made.xyxy.tolist(), made.class_id, strict=True)
        ]
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES)]
    content = {"images": listed, "categories": categories, "annotations": boxes}
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    evaluation = AnnotatedImages(own / "images", tmp_path / "boxes.json")
    found = measures.strides(
        spec.with_strides((32,)), own / "own.ckpt", evaluation, tmp_path / "log"
    )
    assert list(found["ap"]) == ["32", "16,32", "8,16,32"] and found["images"] == 10
    whole = ap_detector(TorchEngine(load_network(own / "own.ckpt", spec).network, spec))
    images = CocoSet.load(own / "images", tmp_path / "boxes.json", CLASSES)
    figures = score(images, detect_all(whole, images, progress=False), CLASSES).figures
    assert found["ap"]["8,16,32"] == figures["AP"] > found["ap"]["32"]


def test_plain_onnx(own: Path) -> None:
    """As trained: normalised pixels, upright, no border approximation."""
    recipe(own, "--stop-after", "onnx", "--strides", "8,16,32")
    engine = OnnxEngine(own / "out" / "own_s8.onnx")
    assert engine.spec.graph.strides == (8, 16, 32)
    assert not engine.spec.graph.raw_pixels and not engine.spec.graph.rotated_180
    spec = read_training_config(own / "own.yml")
    network = TorchEngine(load_network(own / "own.ckpt", spec).network, spec)
    canvas, _ = to_canvas(photo(7, 80, 60), spec.input)
    for name, values in network.infer(canvas).items():
        np.testing.assert_allclose(engine.infer(canvas)[name], values, atol=1e-4)
