"""The stem in C and the rest of the network in TensorFlow Lite Micro, against the whole."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from firmware.describe import StemDescription, describe_stem, leaky_relu_table
from firmware.stem import run_stem
from quantize.split import split
from runtime.engines import TflmEngine
from runtime.engines.tflm import HOST_ARENA_BYTES
from runtime.errors import KitError
from runtime.preprocess import int8_input
from runtime.tflite_file import TfliteFile
from tests.conftest import Build
from tests.firmware import cases
from tests.firmware.cases import Runner, Writer
from tests.firmware.test_leaky_relu import random_parameters, table


def run_body(body: bytes, values: np.ndarray, outputs: int) -> list[np.ndarray]:
    """The rest of the network in TensorFlow Lite Micro."""
    from tflite_micro import runtime as tflm

    interpreter: Any = tflm.Interpreter.from_bytes(body, arena_size=HOST_ARENA_BYTES)
    interpreter.set_input(values[None], 0)
    interpreter.invoke()
    return [np.array(interpreter.get_output(i)[0]) for i in range(outputs)]


def stem_output(runner: Runner, about: StemDescription, image: np.ndarray) -> np.ndarray:
    writer = Writer()
    writer.stem(about, image)
    (answer,) = runner.run(writer)
    assert answer.status == cases.OK
    shape = about.height // 4, about.width // 4, about.channels
    return np.frombuffer(answer.payload, np.int8).reshape(shape)


def test_stem_and_rest_are_the_whole(host: Runner, build: Build, canvas: np.ndarray) -> None:
    file = TfliteFile.read(build.tflite)
    stem, body = split(file.content, file.path)
    assert len(body) < len(file.content)
    noise = np.random.default_rng(0).integers(0, 256, canvas.shape).astype(np.uint8)
    for picture in (canvas, noise, np.full_like(canvas, 255), np.zeros_like(canvas)):
        pixels = int8_input(picture, file.spec)
        whole = TflmEngine(file)._invoke(pixels)
        values = stem_output(host, describe_stem(stem, "model"), pixels[0])
        np.testing.assert_array_equal(values, run_stem(stem, pixels[0]))
        for found, wanted in zip(run_body(body, values, len(whole)), whole, strict=True):
            np.testing.assert_array_equal(found, wanted[0])


def test_m7_answers_as_the_host(host: Runner, m7: Runner, build: Build, canvas: np.ndarray) -> None:
    file = TfliteFile.read(build.tflite)
    about = describe_stem(split(file.content, file.path)[0], "model")
    pixels = int8_input(canvas, file.spec)[0]
    np.testing.assert_array_equal(stem_output(m7, about, pixels), stem_output(host, about, pixels))


@pytest.fixture
def about(build: Build) -> StemDescription:
    file = TfliteFile.read(build.tflite)
    return describe_stem(split(file.content, file.path)[0], "model")


@pytest.mark.parametrize(
    ("other", "status", "reason"),
    [
        ({"width": 98}, cases.BAD_MODEL, "no whole pools"),
        ({"height": 0}, cases.BAD_MODEL, "no rows"),
        ({"scratch_bytes": 100}, cases.BAD_SCRATCH, "too little"),
        ({"output_bytes": 7}, cases.BAD_BUFFER, "another output"),
    ],
)
def test_stems_that_will_not_do(
    host: Runner,
    about: StemDescription,
    canvas: np.ndarray,
    other: dict[str, int],
    status: int,
    reason: str,
) -> None:
    writer = Writer()
    more = np.zeros((canvas.shape[0] + 3, canvas.shape[1] + 3, 3), np.int8)
    writer.stem(about, more, other)
    (answer,) = host.run(writer)
    assert answer.status == status, reason


def test_channels_that_do_not_fit(build: Build) -> None:
    file = TfliteFile.read(build.tflite)
    stem, _ = split(file.content, file.path)
    odd = dataclasses.replace(stem, bias=stem.bias[:22])
    with pytest.raises(KitError, match="22 channels"):
        describe_stem(odd, "model")


def test_files_without_a_stem(build: Build) -> None:
    _, body = split(build.tflite.read_bytes(), "whole")
    with pytest.raises(KitError, match=r"body\.tflite: its first layers"):
        split(body, "body.tflite")


def test_python_makes_the_same_table() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        parameters = random_parameters(rng)
        assert leaky_relu_table(parameters).tolist() == table(parameters)
