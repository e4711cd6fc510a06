"""Integer post-processing on whatever tensors, scales, thresholds and class counts there may be."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import integer
from runtime.nms import nms_per_class
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo
from tests.conftest import ROOT
from tests.runtime.plain import literal, plain_suppression

OFFICIAL = ModelSpec.from_yaml(ROOT / "models" / "nanodet-m-0.5x.yaml")
SCALES = st.floats(1e-6, 1e3, allow_subnormal=False)
THRESHOLDS = st.floats(0, 1)


@st.composite
def problems(draw: st.DrawFn) -> tuple[ModelSpec, list[TensorInfo], dict[str, np.ndarray]]:
    """A model of 96x64 pixels or less, its outputs' quantization, and their values."""
    classes = tuple(f"class {i}" for i in range(draw(st.sampled_from([1, 2, 7, 80]))))
    size = dataclasses.replace(
        OFFICIAL.input,
        width=draw(st.sampled_from([32, 96])),
        height=draw(st.sampled_from([32, 64])),
    )
    architecture = dataclasses.replace(
        OFFICIAL.architecture,
        reg_max=draw(st.integers(1, 22)),
        prior_offset=draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    )
    strides = draw(st.sampled_from([(32,), (16, 32)]))
    spec = dataclasses.replace(
        OFFICIAL, class_names=classes, input=size, architecture=architecture
    ).with_strides(strides)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    outputs, raw = [], {}
    for name in spec.output_names:
        shape = spec.output_shape_nhwc(name)
        outputs.append(TensorInfo(name, shape, "INT8", draw(SCALES), draw(st.integers(-128, 127))))
        low, high = sorted((draw(st.integers(-128, 127)), draw(st.integers(-128, 127))))
        raw[name] = rng.integers(low, high + 1, shape[1:]).astype(np.int8)
    return spec, outputs, raw


@settings(deadline=None, derandomize=True, max_examples=150)
@given(problem=problems(), threshold=THRESHOLDS, most=st.sampled_from([1, 50, 10**6]))
def test_decode_is_the_documented_arithmetic(
    problem: tuple[ModelSpec, list[TensorInfo], dict[str, np.ndarray]], threshold: float, most: int
) -> None:
    spec, outputs, raw = problem
    assert integer.fits(spec, outputs)
    tables = integer.make_tables(spec, outputs, threshold)
    found = integer.decode(raw, tables, spec, max_candidates=most)
    expected = literal(raw, tables, spec)[:most]
    assert found.score.tolist() == [score for score, _, _ in expected]
    assert found.class_id.tolist() == [class_id for _, class_id, _ in expected]
    assert found.box.tolist() == [box for _, _, box in expected]
    pixels = found.in_pixels()
    assert np.isfinite(pixels.xyxy).all() and np.isfinite(pixels.confidence).all()
    assert (pixels.xyxy[:, 2:] >= pixels.xyxy[:, :2]).all()


@settings(deadline=None, derandomize=True, max_examples=100)
@given(problem=problems(), threshold=THRESHOLDS, iou=THRESHOLDS, most=st.integers(0, 100))
def test_suppression_equals_brute_force(
    problem: tuple[ModelSpec, list[TensorInfo], dict[str, np.ndarray]],
    threshold: float,
    iou: float,
    most: int,
) -> None:
    spec, outputs, raw = problem
    tables = integer.make_tables(spec, outputs, threshold)
    candidates = integer.decode(raw, tables, spec, max_candidates=80)
    kept = plain_suppression(candidates, round(iou * 1024), most)
    expected = candidates.take(np.array(kept, int))
    found = integer.suppress(candidates, iou, most)
    np.testing.assert_array_equal(found.box, expected.box)
    np.testing.assert_array_equal(found.score, expected.score)
    np.testing.assert_array_equal(found.class_id, expected.class_id)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(scale=SCALES, zero_point=st.integers(-128, 127), threshold=THRESHOLDS)
def test_a_logit_passes_where_its_float_score_does(
    scale: float, zero_point: int, threshold: float
) -> None:
    spec = OFFICIAL.with_strides((32,))
    outputs = [TensorInfo(n, (1, 1, 1, 1), "INT8", scale, zero_point) for n in spec.output_names]
    level = integer.make_tables(spec, outputs, threshold).levels[0]
    for q in range(-128, 128):
        logit = (q - zero_point) * scale
        score = 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
        near = abs(score - threshold) < 1e-12  # NumPy's exponential may differ in the last bit.
        assert near or (q >= level.min_logit) == (score > threshold)


@pytest.mark.parametrize("most", [0, 100])
def test_nothing_in_nothing_out(most: int) -> None:
    nothing = integer.Candidates(
        np.zeros((0, 4), np.int32), np.zeros(0, np.uint16), np.zeros(0, np.int32)
    )
    assert len(integer.suppress(nothing, 0.6, most).in_pixels()) == 0
    assert len(nms_per_class(nothing.in_pixels(), 0.6, most)) == 0
