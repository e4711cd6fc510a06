"""The C library on real networks' answers to COCO photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import calibration
from convert.checkpoint import load_network
from data import locate
from firmware.describe import describe
from runtime import integer
from runtime.engines import LiteRtEngine
from runtime.image import list_images, load_rgb
from runtime.preprocess import to_canvas
from runtime.tflite_file import TfliteFile
from tests.conftest import convert_network
from tests.firmware.cases import Runner, Writer, lying
from tests.firmware.test_postprocess import assert_same
from tests.firmware.test_preprocess import description

pytestmark = pytest.mark.real

SCORE, IOU, MOST = 0.35, 0.6, 100
_MORE = pytest.mark.full(reason="builds another network of full size")
STRIDES = ("32", pytest.param("16,32", marks=_MORE), pytest.param("8,16,32", marks=_MORE))
# Most instructions of post-processing on the Cortex-M7, by strides. One stride took 41,960, nearest
# preprocessing 2,448,040, bilinear 4,875,480: another version of GCC may take a tenth more.
BUDGET = {"32": 46_000, "16,32": 1_200_000}


@pytest.fixture(scope="module", params=STRIDES)
def engine(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> LiteRtEngine:
    """The published file, or others quantized min/max."""
    if request.param == "32":
        recipe: Path = request.getfixturevalue("recipe")
        return LiteRtEngine(TfliteFile.read(recipe / "nanodet_m_0.5x.tflite"))
    strides = tuple(int(s) for s in request.param.split(","))
    spec = locate.model_spec("nanodet-m-0.5x").with_strides(strides)
    network = load_network(data / "weights" / "nanodet_m_0.5x.ckpt", spec).network
    photographs = list_images(data / "coco" / "calibration")[:20]
    canvases = list(calibration.canvases(photographs, spec.input))
    built = convert_network(network, spec, canvases, tmp_path_factory.mktemp("model"))
    return LiteRtEngine(TfliteFile.read(built.tflite))


def compare(runner: Runner, engine: LiteRtEngine, photographs: list[Path], score: float) -> int:
    """Most instructions of an image; fails where C and Python differ."""
    about = describe(engine.spec, engine.outputs, score)
    tables = integer.make_tables(engine.spec, engine.outputs, score)
    writer, wanted = Writer(), []
    for path in photographs:
        raw = engine.infer_raw(to_canvas(load_rgb(path), engine.spec.input)[0])
        writer.postprocess(about, lying(raw, engine.spec), round(IOU * 1024), capacity=MOST)
        found = integer.decode(raw, tables, engine.spec)
        wanted.append(integer.suppress(found, IOU, MOST))
    answers = runner.run(writer)
    for answer, found in zip(answers, wanted, strict=True):
        assert_same(answer, found)
    return max(answer.instructions for answer in answers)


@pytest.mark.parametrize("score", [SCORE, 0.05])
def test_host_answers_as_python(
    host: Runner, data: Path, engine: LiteRtEngine, score: float, full: bool
) -> None:
    compare(host, engine, list_images(data / "coco" / "val500")[: 500 if full else 100], score)


def test_m7_answers_as_python_within_its_budget(
    m7: Runner, data: Path, engine: LiteRtEngine
) -> None:
    most = compare(m7, engine, list_images(data / "coco" / "val500")[:20], SCORE)
    strides = ",".join(map(str, engine.spec.graph.strides))
    print(f"post-processing, strides {strides}: {most:,} instructions at most")
    assert most <= BUDGET.get(strides, most)


def test_preprocessing_within_its_budget(m7: Runner, engine: LiteRtEngine) -> None:
    frame = np.zeros((480, 1280), np.uint8)
    writer = Writer()
    writer.preprocess(description(engine.spec), frame, "RGB565", 640, bilinear=False)
    writer.preprocess(description(engine.spec), frame, "RGB565", 640, bilinear=True)
    nearest, bilinear = (a.instructions for a in m7.run(writer))
    print(f"preprocessing 640x480 RGB565: {nearest:,} nearest, {bilinear:,} bilinear")
    assert nearest <= 2_700_000 and bilinear <= 5_400_000
