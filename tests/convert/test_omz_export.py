from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from convert import omz_export
from convert.engines import TorchEngine
from convert.lowering import lower
from convert.parity import TOLERANCE
from data import locate
from runtime.errors import GateFailed
from runtime.preprocess import float_input, to_canvas
from runtime.spec import ModelSpec
from tests.conftest import photo, small
from tests.random_network import random_network


@pytest.fixture(params=["nanodet-m-0.5x", "nanodet-plus-m-320"])
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    whole = small(locate.model_spec(request.param), 128, 64)
    return whole.with_classes(("person", "car"))


def test_opencv_and_onnxruntime_read_it(spec: ModelSpec, tmp_path: Path) -> None:
    network, path = random_network(spec), tmp_path / "omz.onnx"
    canvas, _ = to_canvas(photo(4, 100, 100), spec.input)
    lowered, _ = lower(network, spec, canvas, omz_export.REWRITES)
    omz_export.export(lowered, path)
    assert omz_export.check(lowered, path, canvas) < TOLERANCE

    pixels = float_input(canvas, spec).transpose(0, 3, 1, 2)
    (output,) = onnxruntime.InferenceSession(path).run(["output"], {"data": pixels})
    cells = sum(np.prod(spec.output_shape_nhwc(f"cls_{s}")[1:3]) for s in spec.graph.strides)
    assert output.shape == (1, cells, 2 + 32)
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(pixels, "data")
    assert np.abs(net.forward("output") - output).max() < TOLERANCE

    trained = TorchEngine(network, spec).infer(canvas)
    reference = omz_export.expected(trained, spec)
    assert np.abs(reference - output).max() < TOLERANCE
    graph = onnx.load(path).graph
    assert [i.name for i in graph.input] == ["data"]
    assert [o.name for o in graph.output] == ["output"]


def test_gate(spec: ModelSpec, tmp_path: Path) -> None:
    canvas, _ = to_canvas(photo(4, 100, 100), spec.input)
    lowered, _ = lower(random_network(spec), spec, canvas, omz_export.REWRITES)
    other, _ = lower(random_network(spec, seed=1), spec, canvas, omz_export.REWRITES)
    omz_export.export(other, tmp_path / "omz.onnx")
    with pytest.raises(GateFailed, match="ONNX differs"):
        omz_export.check(lowered, tmp_path / "omz.onnx", canvas)
