"""Ever more careful quantization until it loses no more AP than asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.contract import QuantizationSettings
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


def escalate(
    max_drop: float,
    float_ap: float,
    rewrites: tuple[str, ...],
    ap_of: Callable[[QuantizationSettings], float],
    int8: str = "int8",
) -> tuple[QuantizationSettings, list[dict[str, Any]]]:
    """The first settings whose drop holds, and what was tried; a line is printed for each.

    ap_of: builds with the settings and evaluates. int8: which of its schemes. Raises `GateFailed`
    where nothing holds.
    """
    tried: list[dict[str, Any]] = []
    for name, methods, quantization in STEPS:
        scheme = int8 if quantization == "int8" else quantization
        settings = QuantizationSettings(scheme, methods, rewrites)
        ap = ap_of(settings)
        drop = float_ap - ap
        tried.append({"step": name, "AP": ap, "drop": drop})
        verdict = "holds" if drop <= max_drop else "is too much"
        say(f"      {name}: AP {ap:.2f}, a drop of {drop:.2f} {verdict}")
        if drop <= max_drop:
            return settings, tried
    best = min(tried, key=lambda attempt: attempt["drop"])
    raise GateFailed(
        f"--max-drop {max_drop:g}: the least drop is {best['drop']:.2f}, by {best['step']}; allow "
        "that, or fine-tune with --qat"
    )
