"""The other choices of numbers: what the file holds, and that it answers as the float network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.engines import OnnxEngine
from quantize import METHODS, equalize, float_file, reconstruct
from quantize.build import build_int8
from quantize.scheme import SCHEMES
from runtime.engines import LiteRtEngine, TflmEngine
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import unpack
from tests.conftest import Build, canvases, deviation


def integers(build: Build, name: str, methods: tuple[str, ...] = ()) -> TfliteFile:
    built = build_int8(
        build.float_model,
        build.spec,
        canvases(build.spec),
        name,
        build.onnx,
        methods,
        ("stem_strips",),
        scheme=SCHEMES[name],
    )
    return TfliteFile.parse(built.content, name)


def worst(file: TfliteFile, build: Build, canvas: np.ndarray, engine: type) -> float:
    """The largest `deviation` from the float network of an output."""
    wanted, found = OnnxEngine(build.onnx).infer(canvas), engine(file).infer(canvas)
    return max(deviation(found[n], wanted[n]) for n in wanted)


def test_int16_activations(coarse: Build, canvas: np.ndarray) -> None:
    narrow, wide = integers(coarse, "int8"), integers(coarse, "int16x8")
    assert wide.input.dtype == "INT16" and {t.dtype for t in wide.outputs} == {"INT16"}
    assert {t.zero_point for t in (wide.input, *wide.outputs)} == {0}
    for engine in (LiteRtEngine, TflmEngine):
        deviates = worst(wide, coarse, canvas, engine)
        assert deviates < 0.2, engine.name
        assert deviates < worst(narrow, coarse, canvas, engine), engine.name


def test_int16_keeps_what_calibration_did_not_see(coarse: Build) -> None:
    """Twice the range that ten smooth pictures fill."""
    file = integers(coarse, "int16x8")
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert worst(file, coarse, noise, LiteRtEngine) < 0.2


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the methods take a scheme shows early."""
    monkeypatch.setattr(equalize, "_ITERATIONS", 100)
    monkeypatch.setattr(reconstruct, "ITERATIONS", 50)


@pytest.mark.usefixtures("hasty")
def test_int16_by_all_methods(coarse: Build, canvas: np.ndarray) -> None:
    file = integers(coarse, "int16x8", METHODS)
    assert worst(file, coarse, canvas, LiteRtEngine) < 0.2


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("methods", "most"), [((), 0.75), (METHODS, 0.45)])
def test_one_scale_a_layer(
    coarse: Build, canvas: np.ndarray, methods: tuple[str, ...], most: float
) -> None:
    file = integers(coarse, "int8-per-tensor", methods)
    graph = unpack(file.content).subgraphs[0]
    constants = [t for t in graph.tensors if b"/weight" in t.name or b"/bias" in t.name]
    assert len(constants) > 100
    assert all(len(t.quantization.scale) == 1 for t in constants)
    for engine in (LiteRtEngine, TflmEngine):
        # It was 0.56 and 0.30: random weights suffer; a wrong wiring has 1 or more.
        assert worst(file, coarse, canvas, engine) < most, engine.name


@pytest.mark.parametrize(
    ("kind", "stored", "most", "reason"),
    [
        ("float16", schema.TensorType.FLOAT16, 0.01, "ten bits of mantissa"),
        ("dynamic", schema.TensorType.INT8, 0.15, "int8 weights"),
    ],
)
def test_float_formats(
    coarse: Build, canvas: np.ndarray, tmp_path: Path, kind: str, stored: int, most: float,
    reason: str,
) -> None:  # fmt: skip
    content, operators = float_file.build(coarse.saved_model, kind, coarse.spec, kind)
    file = TfliteFile.parse(content, kind)
    assert file.input.dtype == "FLOAT32" and file.spec == coarse.spec
    assert operators["LEAKY_RELU"] == 40
    types = {t.type for t in unpack(content).subgraphs[0].tensors}
    assert stored in types, reason
    assert worst(file, coarse, canvas, LiteRtEngine) < most, reason
