"""Integer post-processing: against the float path, and against plain loops in Python's integers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from runtime import integer
from runtime.decode import decode
from runtime.engines import dequantize
from runtime.nms import nms_per_class
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo
from tests.runtime.plain import literal, plain_suppression

THRESHOLD = 0.05


def tensors(spec: ModelSpec, rng: np.random.Generator) -> list[TensorInfo]:
    """Scales and zero points as quantized files have them."""
    return [
        TensorInfo(
            name,
            spec.output_shape_nhwc(name),
            "INT8",
            float(np.exp(rng.uniform(np.log(0.005), np.log(0.2)))),
            int(rng.integers(-128, 128)),
        )
        for name in spec.output_names
    ]


def random_raw(
    spec: ModelSpec, outputs: list[TensorInfo], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Class logits mostly low, as a detector's are."""
    raw = {}
    for tensor in outputs:
        mean = -4 if tensor.name.startswith("cls") else 0
        steps = rng.normal(mean, 2, tensor.shape[1:]) / tensor.scale + tensor.zero_point
        raw[tensor.name] = np.clip(np.rint(steps), -128, 127).astype(np.int8)
    return raw


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("prior_offset", [0.5, 0.0])
def test_decode_is_the_documented_arithmetic(
    tiny: ModelSpec, seed: int, prior_offset: float
) -> None:
    architecture = dataclasses.replace(tiny.architecture, prior_offset=prior_offset)
    spec = dataclasses.replace(tiny, architecture=architecture)
    rng = np.random.default_rng(seed)
    outputs = tensors(spec, rng)
    raw = random_raw(spec, outputs, rng)
    tables = integer.make_tables(spec, outputs, THRESHOLD)
    most = 40 if seed % 2 else 10**6
    found, expected = (
        integer.decode(raw, tables, spec, max_candidates=most),
        literal(raw, tables, spec)[:most],
    )
    assert found.score.tolist() == [score for score, _, _ in expected]
    assert found.class_id.tolist() == [class_id for _, class_id, _ in expected]
    assert found.box.tolist() == [box for _, _, box in expected]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.05, 0.35, 0.9])
def test_close_to_the_float_path(tiny: ModelSpec, seed: int, threshold: float) -> None:
    rng = np.random.default_rng(100 + seed)
    outputs = tensors(tiny, rng)
    raw = random_raw(tiny, outputs, rng)
    tables = integer.make_tables(tiny, outputs, threshold)
    found = integer.decode(raw, tables, tiny, max_candidates=10**6)
    floats = {t.name: dequantize(raw[t.name], t) for t in outputs}
    wanted = decode(floats, tiny, threshold)
    assert abs(len(found.score) - len(wanted)) <= 1 + len(wanted) // 100, "a score at the threshold"
    if len(found.score) == len(wanted):
        order = np.argsort(-wanted.confidence, kind="stable")
        mine = found.in_pixels()
        np.testing.assert_allclose(mine.confidence, wanted.confidence[order], atol=2 / 65536)
        corners = np.sort(mine.xyxy, axis=0), np.sort(wanted.xyxy, axis=0)
        np.testing.assert_allclose(*corners, atol=0.1)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 1.0])
def test_suppression_against_plain_loops(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 150))
    corner = rng.integers(0, 2000, (n, 2))
    box = np.concatenate([corner, corner + rng.integers(0, 1500, (n, 2))], 1).astype(np.int32)
    score = np.sort(rng.integers(1, 40, n))[::-1].astype(np.uint16)
    candidates = integer.Candidates(box, score, rng.integers(0, 3, n).astype(np.int32))
    expected = plain_suppression(candidates, round(threshold * 1024), 50)
    found = integer.suppress(candidates, threshold, 50)
    assert found.box.tolist() == candidates.take(np.array(expected, int)).box.tolist()


def test_suppression_as_the_float_one(tiny: ModelSpec) -> None:
    rng = np.random.default_rng(3)
    outputs = tensors(tiny, rng)
    raw = random_raw(tiny, outputs, rng)
    candidates = integer.decode(raw, integer.make_tables(tiny, outputs, THRESHOLD), tiny)
    found = integer.suppress(candidates, 0.6, 100).in_pixels()
    wanted = nms_per_class(candidates.in_pixels(), 0.6, 100)
    np.testing.assert_array_equal(found.xyxy, wanted.xyxy)


@pytest.mark.parametrize(("threshold", "passes"), [(1.0, 0), (0.0, -1)])
def test_threshold_limits(tiny: ModelSpec, threshold: float, passes: int) -> None:
    rng = np.random.default_rng(4)
    outputs = tensors(tiny, rng)
    raw = random_raw(tiny, outputs, rng)
    found = integer.decode(
        raw, integer.make_tables(tiny, outputs, threshold), tiny, max_candidates=10**6
    )
    cells = sum(v.size for n, v in raw.items() if n.startswith("cls"))
    assert len(found.score) == (cells if passes else 0)


def test_the_threshold_is_the_float_one(tiny: ModelSpec) -> None:
    """A logit passes in integers exactly where its float score does."""
    for scale, zero_point, threshold in ((0.05, 3, 0.35), (0.01, -100, 0.5), (0.2, 127, 0.9)):
        info = TensorInfo("cls_8", (1, 1, 1, 1), "INT8", scale, zero_point)
        regression = dataclasses.replace(info, name="reg_8")
        spec = tiny.with_strides((8,))
        level = integer.make_tables(spec, [info, regression], threshold).levels[0]
        for q in range(-128, 128):
            score = 1 / (1 + math.exp(-(q - zero_point) * scale))
            assert (q >= level.min_logit) == (score > threshold), (scale, q)


@pytest.mark.parametrize(
    ("reg_max", "dtype", "does"),
    [
        (7, "INT8", True),
        (22, "INT8", True),
        (40, "INT8", False),  # A numerator could pass 32 bits.
        (7, "INT16", False),
        (7, "FLOAT32", False),
    ],
)
def test_what_integers_do_for(tiny: ModelSpec, reg_max: int, dtype: str, does: bool) -> None:
    architecture = dataclasses.replace(tiny.architecture, reg_max=reg_max)
    spec = dataclasses.replace(tiny, architecture=architecture)
    info = TensorInfo("cls_32", (1, 1, 1, 1), dtype, 0.1, 0)
    assert integer.fits(spec, [info]) == does


def test_rotated_grids_are_read_as_upright_ones(tiny: ModelSpec) -> None:
    """A rotated graph's outputs come as views from their end."""
    rng = np.random.default_rng(5)
    outputs = tensors(tiny, rng)
    raw = random_raw(tiny, outputs, rng)
    tables = integer.make_tables(tiny, outputs, THRESHOLD)
    views = {n: np.ascontiguousarray(v[::-1, ::-1])[::-1, ::-1] for n, v in raw.items()}
    found, expected = integer.decode(views, tables, tiny), integer.decode(raw, tables, tiny)
    np.testing.assert_array_equal(found.box, expected.box)
    np.testing.assert_array_equal(found.class_id, expected.class_id)


def test_only_wanted_classes(tiny: ModelSpec) -> None:
    rng = np.random.default_rng(6)
    outputs = tensors(tiny, rng)
    raw = random_raw(tiny, outputs, rng)
    tables = integer.make_tables(tiny, outputs, THRESHOLD)
    wanted = np.arange(len(tiny.classes)) % 3 == 1
    every = integer.decode(raw, tables, tiny, max_candidates=10**6)
    found = integer.decode(raw, tables, tiny, wanted, max_candidates=10**6)
    expected = every.take(np.flatnonzero(wanted[every.class_id]))
    np.testing.assert_array_equal(found.box, expected.box)
    np.testing.assert_array_equal(found.score, expected.score)
