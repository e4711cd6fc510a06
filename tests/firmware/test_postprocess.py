"""C post-processing against `runtime.integer`, bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from firmware.describe import Description, describe
from firmware.frames import boxes_to_frame
from runtime import integer
from runtime.preprocess import place
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo
from tests.conftest import small
from tests.firmware import cases
from tests.firmware.cases import DETECTION, Answer, Runner, Writer, lying
from tests.runtime.test_integer import random_raw, tensors


def expected(
    raw: dict[str, np.ndarray],
    spec: ModelSpec,
    outputs: list[TensorInfo],
    threshold: float,
    iou: float = 0.6,
    candidates: int = integer.MAX_CANDIDATES,
    most: int = 100,
    wanted: np.ndarray | None = None,
) -> integer.Candidates:
    tables = integer.make_tables(spec, outputs, threshold)
    found = integer.decode(raw, tables, spec, wanted, candidates)
    return integer.suppress(found, iou, most)


def assert_same(answer: Answer, wanted: integer.Candidates) -> None:
    assert answer.status == cases.OK
    found = answer.detections
    np.testing.assert_array_equal(found["box"], wanted.box)
    np.testing.assert_array_equal(found["score"], wanted.score)
    np.testing.assert_array_equal(found["class_id"], wanted.class_id)


def variants(official: ModelSpec) -> list[ModelSpec]:
    """Strides, classes, bins, offset, shape and orientation of all kinds."""
    base = small(official, 96, 64)
    rotated = dataclasses.replace(base.graph, rotated_180=True)
    plus = dataclasses.replace(base.architecture, prior_offset=0.0, reg_max=22)
    return [
        base,
        base.with_strides((32,)),
        dataclasses.replace(base, graph=rotated),
        dataclasses.replace(base, architecture=plus),
        dataclasses.replace(base, class_names=("one",)),
        small(official, 416, 32),
    ]


def check(runner: Runner, official: ModelSpec, rounds: int) -> None:
    """Random tensors over variants and settings."""
    writer, wanted = Writer(), []
    for seed in range(rounds):
        for spec in variants(official):
            rng = np.random.default_rng(seed)
            outputs = tensors(spec, rng)
            raw = random_raw(spec, outputs, rng)
            threshold = float(rng.choice([0.0, 0.05, 0.35, 0.9]))
            iou = float(rng.choice([0.0, 0.3, 0.6, 1.0]))
            candidates, most = int(rng.choice([1, 30, 1000])), int(rng.choice([1, 20, 100]))
            mask = rng.random(len(spec.classes)) < 0.5 if seed % 2 else None
            settings = round(iou * 1024), candidates, most, mask
            writer.postprocess(describe(spec, outputs, threshold), lying(raw, spec), *settings)
            wanted.append(expected(raw, spec, outputs, threshold, iou, candidates, most, mask))
    for answer, found in zip(runner.run(writer), wanted, strict=True):
        assert_same(answer, found)


def test_host_answers_as_python(host: Runner, official: ModelSpec) -> None:
    check(host, official, 20)


def test_m7_answers_as_python(m7: Runner, official: ModelSpec) -> None:
    check(m7, official, 3)


@pytest.mark.parametrize("classes", [1, 3, 4, 5, 8, 11])
def test_every_logit_at_the_threshold_is_found(host: Runner, tiny: ModelSpec, classes: int) -> None:
    """Four are compared at a time, the rest one by one: as many as NumPy counts."""
    spec = dataclasses.replace(tiny, class_names=tuple(map(str, range(classes)))).with_strides(
        (32,)
    )
    rng = np.random.default_rng(classes)
    outputs = tensors(spec, rng)
    about = describe(spec, outputs, 0.5)
    raw = random_raw(spec, outputs, rng)
    raw["cls_32"] = rng.integers(-128, 128, raw["cls_32"].shape).astype(np.int8)
    writer, wanted = Writer(), []
    for least in (-128, -127, -64, -1, 0, 1, 2, 64, 126, 127, 128):
        levels = (dataclasses.replace(about.levels[0], min_logit=least),)
        writer.postprocess(dataclasses.replace(about, levels=levels), raw, iou_threshold_q10=1024)
        wanted.append(int((raw["cls_32"].astype(int) >= least).sum()))
    assert [len(a.detections) for a in host.run(writer)] == wanted and wanted[0] > wanted[-2]


@pytest.fixture
def sound(tiny: ModelSpec) -> tuple[Description, dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    outputs = tensors(tiny, rng)
    return describe(tiny, outputs, 0.05), random_raw(tiny, outputs, rng)


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"width": 0}, cases.BAD_MODEL, "no canvas"),
        ({"height": 5000}, cases.BAD_MODEL, "areas would pass 32 bits"),
        ({"width": 128}, cases.BAD_MODEL, "grids of another canvas"),
        ({"classes": 0}, cases.BAD_MODEL, "no classes"),
        ({"classes": 81}, cases.BAD_BUFFER, "outputs of another model"),
        ({"bins": 1}, cases.BAD_MODEL, "no distribution"),
        ({"bins": 33}, cases.BAD_MODEL, "more bins than fit"),
        ({"bins": 9}, cases.BAD_BUFFER, "outputs of another model"),
        ({"levels": ()}, cases.BAD_MODEL, "no stride"),
    ],
)
def test_models_that_contradict_themselves(
    host: Runner,
    sound: tuple[Description, dict[str, np.ndarray]],
    change: dict[str, object],
    status: int,
    reason: str,
) -> None:
    about, raw = sound
    writer = Writer()
    writer.postprocess(dataclasses.replace(about, **change), raw)  # type: ignore[arg-type]
    (answer,) = host.run(writer)
    assert (answer.status, answer.payload) == (status, b""), reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stride": 0}, "cells of no size"),
        ({"rows": 7}, "another grid"),
        ({"min_logit": 200}, "no int8 logit"),
        ({"offset_q4": -1}, "a centre outside its cell"),
        ({"weight": np.zeros(256, np.uint16)}, "a sum of 0 to divide by"),
    ],
)
def test_levels_that_contradict_themselves(
    host: Runner,
    sound: tuple[Description, dict[str, np.ndarray]],
    change: dict[str, object],
    reason: str,
) -> None:
    about, raw = sound
    first = dataclasses.replace(about.levels[0], **change)  # type: ignore[arg-type]
    if first.stride == 0:
        raw = {**raw, "cls_0": raw["cls_8"], "reg_0": raw["reg_8"]}
    writer = Writer()
    writer.postprocess(dataclasses.replace(about, levels=(first, *about.levels[1:])), raw)
    (answer,) = host.run(writer)
    assert answer.status == cases.BAD_MODEL, reason


@pytest.mark.parametrize(
    ("settings", "status", "reason"),
    [
        ({"iou_threshold_q10": 1025}, cases.BAD_OPTION, "more than all of it"),
        ({"max_candidates": 0}, cases.BAD_OPTION, "nothing to choose from"),
        ({"scratch_bytes": 15999}, cases.BAD_SCRATCH, "one byte short"),
    ],
)
def test_settings_that_will_not_do(
    host: Runner,
    sound: tuple[Description, dict[str, np.ndarray]],
    settings: dict[str, int],
    status: int,
    reason: str,
) -> None:
    writer = Writer()
    writer.postprocess(*sound, **settings)  # type: ignore[arg-type]
    (answer,) = host.run(writer)
    assert answer.status == status, reason


def test_truncated_outputs(host: Runner, sound: tuple[Description, dict[str, np.ndarray]]) -> None:
    about, raw = sound
    writer = Writer()
    for name, values in raw.items():
        writer.postprocess(about, {**raw, name: values.ravel()[:-1]})
    assert {a.status for a in host.run(writer)} == {cases.BAD_BUFFER}


@pytest.mark.parametrize("keep_ratio", [True, False])
@pytest.mark.parametrize(
    "size", [(640, 480), (480, 640), (96, 64), (1, 1), (8192, 8192), (8192, 3), (333, 517)]
)
def test_boxes_in_the_frame(
    host: Runner, tiny: ModelSpec, keep_ratio: bool, size: tuple[int, int]
) -> None:
    spec = dataclasses.replace(tiny, input=dataclasses.replace(tiny.input, keep_ratio=keep_ratio))
    rng = np.random.default_rng(2)
    boxes = np.zeros(200, DETECTION)
    boxes["box"] = rng.integers(0, 97 * 16, (200, 4))
    writer = Writer()
    writer.to_frame(describe(spec, tensors(spec, rng), 0.5), size, boxes)
    (answer,) = host.run(writer)
    assert answer.status == cases.OK
    wanted = boxes_to_frame(boxes["box"], size, spec.input)
    np.testing.assert_array_equal(answer.detections["box"], wanted)
    floats = place(size, spec.input).boxes_to_image(boxes["box"] / np.float32(16))
    np.testing.assert_allclose(wanted / 16, floats, atol=1 / 32 + 1e-3 * max(size) / 1000)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (8193, 5)])
def test_frames_that_are_none(host: Runner, tiny: ModelSpec, size: tuple[int, int]) -> None:
    writer = Writer()
    about = describe(tiny, tensors(tiny, np.random.default_rng(3)), 0.5)
    writer.to_frame(about, size, np.zeros(1, DETECTION))
    (answer,) = host.run(writer)
    assert answer.status == cases.BAD_FRAME
