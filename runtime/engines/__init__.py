"""Engines that run a `.tflite`: `litert` for Linux, `tflm` for microcontrollers."""

from __future__ import annotations

from typing import Any

from runtime.engines.base import Engine, TfliteEngine, dequantize
from runtime.engines.litert import LiteRtEngine
from runtime.engines.tflm import TflmEngine
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile

__all__ = ["Engine", "LiteRtEngine", "TfliteEngine", "TflmEngine", "dequantize", "open_engine"]

TFLITE_ENGINES = ("litert", "tflm")


def open_engine(name: str, model: TfliteFile, **options: Any) -> TfliteEngine:
    """Engine `name`, loaded with `model`; options: those of `LiteRtEngine`."""
    if name == "litert":
        return LiteRtEngine(model, **options)
    if name == "tflm" and options:
        raise KitError(f"engine tflm has no option `{sorted(options)[0]}`")
    if name == "tflm":
        return TflmEngine(model)
    raise KitError(f"engine `{name}` is unknown; known: {', '.join(TFLITE_ENGINES)}")
