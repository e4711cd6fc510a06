"""Do two forms of a network answer alike, and if not, where do they part?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

# Largest difference of any float32 logit that a gate accepts; float rounding stays below 2e-5.
TOLERANCE = 1e-4


def largest_difference(
    reference: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> float:
    """Largest absolute difference over the outputs that both have; NaN counts as infinite."""
    shared = sorted(set(reference) & set(outputs))
    assert shared, f"no common outputs: {sorted(reference)} and {sorted(outputs)}"
    return max(_difference(reference[name], outputs[name]) for name in shared)


def typical_difference(
    reference: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> float:
    """Root mean square of the differences of all values of the outputs that both have."""
    squares = [np.square(reference[n] - outputs[n]).ravel() for n in outputs if n in reference]
    return float(np.sqrt(np.concatenate(squares).mean()))


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
    difference = float(np.abs(a.astype(np.float64) - b).max(initial=0.0))
    return difference if np.isfinite(difference) else float("inf")


def first_unmatched(
    layers: Iterable[tuple[str, np.ndarray]],
    candidates: Iterable[np.ndarray],
    tolerance: float = TOLERANCE,
) -> str | None:
    """Name of the first layer whose tensor is found nowhere among the candidates.

    Tensors are matched by value, not by name, since converters rename and fuse; all are NHWC.
    The tolerance is relative to the tensor's largest value where that is above 1.
    """
    by_shape: dict[tuple[int, ...], list[np.ndarray]] = {}
    for candidate in candidates:
        by_shape.setdefault(candidate.shape, []).append(candidate)
    for name, tensor in layers:
        limit = tolerance * max(1.0, float(np.abs(tensor).max(initial=0.0)))
        found = (_difference(tensor, other) for other in by_shape.get(tensor.shape, []))
        if not any(difference < limit for difference in found):
            return name
    return None


def blame(layer: str | None) -> str:
    """Words for what `first_unmatched` found."""
    return f"first at layer {layer}" if layer else "at no single layer: rounding adds up"
