"""Ever more careful quantization until it loses no more AP than asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.stages import QuantizationSettings
from runtime.errors import GateFailed
from runtime.quiet import say

# What is tried, in order: name, methods, numbers.
STEPS = (
    ("min/max", (), "int8"),
    ("ranges", ("ranges",), "int8"),
    ("equalization", ("ranges", "equalize"), "int8"),
    ("reconstruction", ("ranges", "equalize", "reconstruct"), "int8"),
    ("int16 activations", ("ranges", "equalize", "reconstruct"), "int16x8"),
)


@dataclass(frozen=True)
class Attempt:
    """ap, drop: in percent, against the float network with the same strides."""

    name: str
    settings: QuantizationSettings
    ap: float
    drop: float


def escalate(
    max_drop: float,
    float_ap: float,
    rewrites: tuple[str, ...],
    ap_of: Callable[[QuantizationSettings], float],
) -> tuple[QuantizationSettings, list[dict[str, Any]]]:
    """The first settings whose drop holds, and what was tried; a line is printed for each.

    ap_of: builds with the settings and evaluates. Raises `GateFailed` where nothing holds.
    """
    tried: list[Attempt] = []
    for name, methods, quantization in STEPS:
        settings = QuantizationSettings(quantization, methods, rewrites)
        ap = ap_of(settings)
        tried.append(Attempt(name, settings, ap, float_ap - ap))
        holds = tried[-1].drop <= max_drop
        verdict = "holds" if holds else "is too much"
        say(f"      {name}: AP {ap:.2f}, a drop of {float_ap - ap:.2f} {verdict}")
        if holds:
            return settings, [{"step": t.name, "AP": t.ap, "drop": t.drop} for t in tried]
    best = min(tried, key=lambda attempt: attempt.drop)
    raise GateFailed(
        f"--max-drop {max_drop:g}: the least drop is {best.drop:.2f}, by {best.name}; allow that, "
        "or fine-tune with --qat"
    )
