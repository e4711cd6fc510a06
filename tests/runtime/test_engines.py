from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from runtime.engines import LiteRtEngine, TflmEngine, dequantize, open_engine
from runtime.engines.arena import arena_bytes
from runtime.errors import KitError
from runtime.tflite_file import TensorInfo, TfliteFile
from tests.conftest import Build


@pytest.fixture
def model(build: Build) -> TfliteFile:
    return TfliteFile.read(build.tflite)


def test_engines_agree(model: TfliteFile, canvas: np.ndarray) -> None:
    answers = [
        engine.infer_raw(canvas)
        for engine in (LiteRtEngine(model), LiteRtEngine(model, xnnpack=False), TflmEngine(model))
    ]
    for name in model.spec.output_names:
        reference = answers[-1][name].ravel()
        for other in answers[:-1]:
            assert np.corrcoef(reference, other[name].ravel())[0, 1] > 0.9, name


def test_int8_follows_the_float_network(
    build: Build, model: TfliteFile, canvas: np.ndarray
) -> None:
    from convert.engines import OnnxEngine

    expected, found = OnnxEngine(build.onnx).infer(canvas), TflmEngine(model).infer(canvas)
    for name, values in expected.items():
        correlation = np.corrcoef(values.ravel(), found[name].ravel())[0, 1]
        assert correlation > 0.9, name


def test_dequantize_does_not_wrap() -> None:
    tensor = TensorInfo("t", (3,), "INT8", 0.5, -128)
    values = np.array([-128, 0, 127], np.int8)
    assert dequantize(values, tensor).tolist() == [0.0, 64.0, 127.5]


@pytest.mark.parametrize(
    "change", [{"scale": 0.02}, {"zero_point": -14}, {"dtype": "UINT8"}], ids=str
)
def test_other_input_encodings_are_refused(model: TfliteFile, change: dict[str, Any]) -> None:
    wrong = dataclasses.replace(model, input=dataclasses.replace(model.input, **change))
    with pytest.raises(KitError, match="zero point -13"):
        TflmEngine(wrong)


def test_unknown_engine(model: TfliteFile) -> None:
    with pytest.raises(KitError, match="known: litert, tflm"):
        open_engine("onnxruntime", model)


def test_damaged_graph_is_refused(model: TfliteFile) -> None:
    content = bytearray(model.content)
    middle = len(content) // 2
    content[middle:] = b"\0" * (len(content) - middle)
    with pytest.raises(KitError, match="LiteRT refuses"):
        LiteRtEngine(dataclasses.replace(model, content=bytes(content)))


def test_arena(build: Build) -> None:
    stem = 48 * 32 * 24 + 96 * 64 * 3  # first convolution's output and its input
    assert stem < arena_bytes(build.tflite) < 4 * stem
