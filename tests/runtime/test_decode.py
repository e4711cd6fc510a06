from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from runtime.decode import decode
from runtime.spec import ModelSpec


def literal(
    outputs: dict[str, np.ndarray], spec: ModelSpec, threshold: float
) -> list[tuple[list[float], float, int]]:
    """Generalized Focal Loss decoding, cell by cell and class by class."""
    found = []
    for stride in spec.graph.strides:
        cls, reg = outputs[f"cls_{stride}"], outputs[f"reg_{stride}"]
        for row in range(cls.shape[0]):
            for column in range(cls.shape[1]):
                for class_id in range(cls.shape[2]):
                    score = 1 / (1 + math.exp(-float(cls[row, column, class_id])))
                    if score <= threshold:
                        continue
                    sides = []
                    for side in range(4):
                        weights = [math.exp(v) for v in reg[row, column, side * 8 : side * 8 + 8]]
                        mean = sum(i * w for i, w in enumerate(weights)) / sum(weights)
                        sides.append(mean * stride)
                    x = (column + spec.architecture.prior_offset) * stride
                    y = (row + spec.architecture.prior_offset) * stride
                    box = [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]
                    limit = [spec.input.width, spec.input.height] * 2
                    box = [min(max(v, 0), m) for v, m in zip(box, limit)]
                    found.append((box, score, class_id))
    return found


def random_outputs(spec: ModelSpec, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(
            -3 if name.startswith("cls") else 0, 2, spec.output_shape_nhwc(name)[1:]
        ).astype(np.float32)
        for name in spec.output_names
    }


@pytest.mark.parametrize("prior_offset", [0.5, 0.0])
@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.9])
def test_decode_is_the_literal_definition(
    tiny: ModelSpec, prior_offset: float, threshold: float
) -> None:
    architecture = dataclasses.replace(tiny.architecture, prior_offset=prior_offset)
    spec = dataclasses.replace(tiny, architecture=architecture)
    outputs = random_outputs(spec, 5)
    found = decode(outputs, spec, threshold)
    expected = literal(outputs, spec, threshold)
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.xyxy, [b for b, _, _ in expected], atol=1e-3)
    np.testing.assert_allclose(found.confidence, [s for _, s, _ in expected], atol=1e-6)
    assert found.class_id.tolist() == [c for _, _, c in expected]


def test_large_logits_do_not_overflow(tiny: ModelSpec) -> None:
    outputs = {n: v * np.float32(1000) for n, v in random_outputs(tiny, 6).items()}
    with np.errstate(over="raise", invalid="raise"):
        found = decode(outputs, tiny, 0.5)
    assert np.isfinite(found.xyxy).all()


@pytest.mark.parametrize(("threshold", "some"), [(1.0, False), (0.0, True)])
def test_threshold_limits(tiny: ModelSpec, threshold: float, some: bool) -> None:
    assert (len(decode(random_outputs(tiny, 7), tiny, threshold)) > 0) == some
