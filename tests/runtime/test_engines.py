from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from runtime.engines import LiteRtEngine, TfliteEngine, TflmEngine, dequantize, open_engine
from runtime.engines.arena import arena_bytes
from runtime.errors import KitError
from runtime.tflite_file import TensorInfo, TfliteFile
from runtime.tflite_graph import unpack
from tests.conftest import Build, deviation, run_python


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
            assert deviation(other[name].ravel(), reference) < 0.4, name


def test_int8_follows_the_float_network(
    build: Build, model: TfliteFile, canvas: np.ndarray
) -> None:
    from convert.engines import OnnxEngine

    expected, found = OnnxEngine(build.onnx).infer(canvas), TflmEngine(model).infer(canvas)
    for name, values in expected.items():
        assert deviation(found[name], values) < 0.4, name


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


def test_tflm_refuses_an_operator_it_does_not_know(model: TfliteFile) -> None:
    content = unpack(model.content)
    code = schema.BuiltinOperator.LOCAL_RESPONSE_NORMALIZATION
    content.operatorCodes[0].builtinCode = content.operatorCodes[0].deprecatedBuiltinCode = code
    with pytest.raises(KitError, match="TFLite Micro refuses"):
        TflmEngine(dataclasses.replace(model, content=flatbuffer.serialize(content)))


@pytest.mark.parametrize(
    ("engine", "missing", "message"),
    [
        (LiteRtEngine, ("ai_edge_litert", "tflite_runtime", "tensorflow"), "pip install ai-edge"),
        (TflmEngine, ("tflite_micro",), "tflite-micro is not installed"),
    ],
)
def test_no_interpreter(
    model: TfliteFile,
    monkeypatch: pytest.MonkeyPatch,
    engine: type[TfliteEngine],
    missing: tuple[str, ...],
    message: str,
) -> None:
    for name in [*missing, "ai_edge_litert.interpreter", "tensorflow.lite"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(KitError, match=message):
        engine(model)


def test_older_interpreters_serve(model: TfliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards often carry `tflite_runtime` instead."""
    from ai_edge_litert import interpreter

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", types.ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    assert LiteRtEngine(model).name == "litert"


def test_arena_of_what_cannot_run(tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(b"\0\0\0\0TFL3")
    with pytest.raises(KitError, match=r"cut\.tflite: TFLite Micro cannot run it"):
        arena_bytes(tmp_path / "cut.tflite")


def test_arena_whatever_the_callers_modules(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that measures imports what this one does."""
    expected = arena_bytes(build.tflite)
    (tmp_path / "numpy.py").write_text("raise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    assert arena_bytes(build.tflite) == expected


def test_arena(build: Build) -> None:
    """More than the first convolution's input and output; else as measured, for TensorFlow Lite
    Micro's version is locked."""
    stem = 48 * 32 * 24 + 96 * 64 * 3
    assert stem < arena_bytes(build.tflite) == pytest.approx(129_360, rel=0.03)


_REFUSED = """
import sys
from runtime.engines import TflmEngine, tflm
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile
tflm.HOST_ARENA_BYTES = 10_000
try:
    TflmEngine(TfliteFile.read(sys.argv[1]))
except KitError as error:
    print(error)
"""


def test_tflite_micro_keeps_its_complaints_to_itself(build: Build, tmp_path: Path) -> None:
    """In a process of its own, for beside other threads nothing is silenced."""
    done = run_python(tmp_path, "-c", _REFUSED, str(build.tflite))
    assert "TFLite Micro refuses it" in done.stdout and done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.parametrize("engine", [LiteRtEngine, TflmEngine])
def test_a_failing_inference_is_one_line(
    model: TfliteFile, canvas: np.ndarray, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("node 3 failed")

    opened = engine(model)
    monkeypatch.setattr(
        opened, "_interpreter", types.SimpleNamespace(
            invoke=fail, set_tensor=lambda *_: None, set_input=lambda *_: None),
    )  # fmt: skip
    with pytest.raises(KitError, match=r"model\.tflite: .* cannot run it \(node 3 failed\)"):
        opened.infer_raw(canvas)
