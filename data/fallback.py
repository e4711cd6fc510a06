"""What the default run builds where the official weights cannot be had."""

from __future__ import annotations

import argparse
from pathlib import Path

from data import locate, names
from runtime.errors import DataUnavailable

# With any of these the user has asked for a network or brought data.
_ASKED = (
    "variant", "config", "weights", "strides", "classes", "activation", "images", "annotations",
    "stop_after", "qat", "quantization_images", "input_size", "budget_arena", "budget_flash",
    "budget_ms", "preset", "camera",
)  # fmt: skip


def use_embedded_model_if_needed(options: argparse.Namespace) -> str:
    """Choose the embedded model where a default run finds no official weights or photographs.

    Returns why, in words; "" when nothing changed. Says so on the console, too.
    """
    if any(getattr(options, name) is not None for name in _ASKED):
        return ""
    spec = locate.model_spec(names.DEFAULT_MODEL)
    try:
        locate.weights(spec, None)
        locate.calibration_images(spec, None)
    except DataUnavailable as error:
        options.variant = names.EMBEDDED_MODEL
        missing = str(error).split(":")[0]
        print(
            f"{names.DEFAULT_MODEL}: {missing} cannot be had, neither here nor by download "
            f"(README, Weights and images); building the embedded demo {names.EMBEDDED_MODEL} "
            "instead, trained on generated shapes"
        )
        return f"{missing} could not be had"
    return ""


def default_model(out: Path) -> str:
    """The variant that the default run of recipe.sh has left in `out`."""
    for name in (names.DEFAULT_MODEL, names.EMBEDDED_MODEL):
        if names.tflite_path(names.variant(name, None), out).is_file():
            return name
    return names.DEFAULT_MODEL
