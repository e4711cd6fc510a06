from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from convert import omz_export
from convert.engines import TorchEngine
from convert.lowering import Lowered, lower
from convert.parity import TOLERANCE
from data import locate
from runtime.errors import GateFailed
from runtime.preprocess import float_input, to_canvas
from runtime.spec import ModelSpec
from tests.conftest import photo, small
from tests.random_network import random_network


@pytest.fixture(scope="module", params=["nanodet-m-0.5x", "nanodet-plus-m-320"])
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    whole = small(locate.model_spec(request.param), 128, 64)
    return whole.with_classes(("person", "car"))


@pytest.fixture(scope="module")
def canvas(spec: ModelSpec) -> np.ndarray:
    return to_canvas(photo(4, 100, 100), spec.input)[0]


@pytest.fixture(scope="module")
def exported(
    spec: ModelSpec, canvas: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lowered, Path]:
    """A random network, and its file."""
    path = tmp_path_factory.mktemp("omz") / "omz.onnx"
    lowered, _ = lower(random_network(spec), spec, canvas, omz_export.REWRITES)
    omz_export.export(lowered, path)
    return lowered, path


def test_opencv_and_onnxruntime_read_it(
    spec: ModelSpec, canvas: np.ndarray, exported: tuple[Lowered, Path]
) -> None:
    lowered, path = exported
    assert omz_export.check(lowered, path, canvas) < TOLERANCE

    pixels = float_input(canvas, spec).transpose(0, 3, 1, 2)
    (output,) = onnxruntime.InferenceSession(path).run(["output"], {"data": pixels})
    cells = sum(np.prod(spec.output_shape_nhwc(f"cls_{s}")[1:3]) for s in spec.graph.strides)
    assert output.shape == (1, cells, 2 + 32)
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(pixels, "data")
    assert np.abs(net.forward("output") - output).max() < TOLERANCE

    trained = TorchEngine(random_network(spec), spec).infer(canvas)
    reference = omz_export.expected(trained, spec)
    assert np.abs(reference - output).max() < TOLERANCE
    graph = onnx.load(path).graph
    assert [i.name for i in graph.input] == ["data"]
    assert [o.name for o in graph.output] == ["output"]


def test_gate(spec: ModelSpec, canvas: np.ndarray, exported: tuple[Lowered, Path]) -> None:
    """A file of other weights."""
    other, _ = lower(random_network(spec, seed=1), spec, canvas, omz_export.REWRITES)
    with pytest.raises(GateFailed, match="ONNX differs"):
        omz_export.check(other, exported[1], canvas)
