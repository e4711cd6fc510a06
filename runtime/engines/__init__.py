"""Engines that run a `.tflite`: `litert` for Linux, `tflm` for microcontrollers."""

from __future__ import annotations

from typing import Any

from ..errors import KitError
from ..tflite_file import TfliteFile
from .base import Engine, TfliteEngine, dequantize
from .litert import LiteRtEngine
from .tflm import TflmEngine

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
