"""Integer post-processing: against the float path, and against plain loops in Python's integers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from runtime import integer
from runtime.decode import decode
from runtime.engines import dequantize
from runtime.errors import KitError
from runtime.nms import nms_per_class
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo

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


def literal(
    raw: dict[str, np.ndarray], levels: list[integer.Level], spec: ModelSpec
) -> list[tuple[int, int, list[int]]]:
    """The documented fixed point, cell by cell, in integers without limits."""
    found = []
    for level in levels:
        cls, reg = raw[f"cls_{level.stride}"], raw[f"reg_{level.stride}"]
        for row, column, class_id in np.ndindex(*cls.shape):
            logit = int(cls[row, column, class_id])
            if logit < level.lowest:
                continue
            sides = []
            for side in range(4):
                bins = [int(v) for v in reg[row, column].reshape(4, -1)[side]]
                weights = [int(level.weight[max(bins) - v]) for v in bins]
                top = sum(i * w for i, w in enumerate(weights)) * level.stride * 16
                assert top + sum(weights) // 2 < 1 << 32, "fits the device's registers"
                sides.append((top + sum(weights) // 2) // sum(weights))
            unit = level.stride * 16
            x = column * unit + round(spec.architecture.prior_offset * unit)
            y = row * unit + round(spec.architecture.prior_offset * unit)
            limits = [spec.input.width * 16, spec.input.height * 16] * 2
            box = [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]
            box = [min(max(v, 0), limit) for v, limit in zip(box, limits)]
            found.append((int(level.score[logit + 128]), class_id, box))
    return sorted(found, key=lambda item: -item[0])


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
    levels = integer.make_levels(spec, outputs, THRESHOLD)
    found, expected = integer.decode(raw, levels, spec), literal(raw, levels, spec)
    assert found.score.tolist() == [score for score, _, _ in expected]
    assert found.class_id.tolist() == [class_id for _, class_id, _ in expected]
    assert found.box.tolist() == [box for _, _, box in expected]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.05, 0.35, 0.9])
def test_close_to_the_float_path(tiny: ModelSpec, seed: int, threshold: float) -> None:
    rng = np.random.default_rng(100 + seed)
    outputs = tensors(tiny, rng)
    raw = random_raw(tiny, outputs, rng)
    levels = integer.make_levels(tiny, outputs, threshold)
    found = integer.decode(raw, levels, tiny)
    floats = {t.name: dequantize(raw[t.name], t) for t in outputs}
    wanted = decode(floats, tiny, threshold)
    assert abs(len(found.score) - len(wanted)) <= 1 + len(wanted) // 100, "a score at the threshold"
    if len(found.score) == len(wanted):
        order = np.argsort(-wanted.confidence, kind="stable")
        mine = found.in_pixels()
        np.testing.assert_allclose(mine.confidence, wanted.confidence[order], atol=2 / 65536)
        corners = np.sort(mine.xyxy, axis=0), np.sort(wanted.xyxy, axis=0)
        np.testing.assert_allclose(*corners, atol=0.1)


def plain_suppression(c: integer.Candidates, threshold: int, most: int) -> list[int]:
    kept: list[int] = []
    for i in range(len(c.score)):
        if all(not _clash(c, i, j, threshold) for j in kept):
            kept.append(i)
    return kept[:most]


def _clash(c: integer.Candidates, i: int, j: int, threshold: int) -> bool:
    a, b = c.box[i].tolist(), c.box[j].tolist()
    width, height = (max(0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
    areas = [(v[2] - v[0]) * (v[3] - v[1]) for v in (a, b)]
    shared = width * height
    same = bool(c.class_id[i] == c.class_id[j])
    return same and shared * 1024 > (sum(areas) - shared) * threshold


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
    candidates = integer.decode(raw, integer.make_levels(tiny, outputs, THRESHOLD), tiny)
    found = integer.suppress(candidates, 0.6, 100).in_pixels()
    wanted = nms_per_class(candidates.in_pixels(), 0.6, 100)
    np.testing.assert_array_equal(found.xyxy, wanted.xyxy)


@pytest.mark.parametrize(("threshold", "passes"), [(1.0, 0), (0.0, -1)])
def test_threshold_limits(tiny: ModelSpec, threshold: float, passes: int) -> None:
    rng = np.random.default_rng(4)
    outputs = tensors(tiny, rng)
    raw = random_raw(tiny, outputs, rng)
    found = integer.decode(raw, integer.make_levels(tiny, outputs, threshold), tiny)
    cells = sum(v.size for n, v in raw.items() if n.startswith("cls"))
    assert len(found.score) == (cells if passes else 0)


def test_the_threshold_is_the_float_one() -> None:
    """A logit passes in integers exactly where its float score does."""
    for scale, zero_point, threshold in ((0.05, 3, 0.35), (0.01, -100, 0.5), (0.2, 127, 0.9)):
        info = TensorInfo("cls_8", (1, 1, 1, 1), "INT8", scale, zero_point)
        level = integer._level(8, info, info, threshold)
        for q in range(-128, 128):
            score = 1 / (1 + math.exp(-(q - zero_point) * scale))
            assert (q >= level.lowest) == (score > threshold), (scale, q)


def test_more_bins_than_fit(tiny: ModelSpec) -> None:
    architecture = dataclasses.replace(tiny.architecture, reg_max=16)
    with pytest.raises(KitError, match="17 bins"):
        integer.make_levels(dataclasses.replace(tiny, architecture=architecture), [], 0.5)
