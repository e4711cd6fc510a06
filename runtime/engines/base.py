"""What every engine offers, and what the two TFLite engines share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from runtime.errors import KitError
from runtime.preprocess import int8_input, upright
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo, TfliteFile


class Engine(Protocol):
    """Runs one model. `spec` says how its outputs are to be read."""

    name: str
    spec: ModelSpec

    def infer(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas (see `runtime.preprocess`) -> float32 logits (h, w, C) by name, upright."""
        ...


class TfliteEngine:
    """Base of the engines that run a full-int8 TFLite file; they provide `_invoke`."""

    name = "tflite"

    def __init__(self, model: TfliteFile) -> None:
        self.spec = model.spec
        self.outputs = model.outputs
        check_int8_input(model)

    def _invoke(self, pixels: np.ndarray) -> list[np.ndarray]:
        """int8 (1, H, W, 3) -> the int8 outputs, in the file's order."""
        raise NotImplementedError

    def infer_int8(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas -> int8 logits (h, w, C) by name, upright."""
        arrays = self._invoke(int8_input(canvas, self.spec))
        return {t.name: upright(a[0], self.spec) for t, a in zip(self.outputs, arrays)}

    def infer(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas -> float32 logits (h, w, C) by name, upright."""
        quantized = self.infer_int8(canvas)
        return {t.name: dequantize(quantized[t.name], t) for t in self.outputs}


def dequantize(values: np.ndarray, tensor: TensorInfo) -> np.ndarray:
    """int8 -> float32. Widened before the zero point is taken off: int8 - int8 wraps."""
    widened = values.astype(np.int32) - tensor.zero_point
    return widened.astype(np.float32) * np.float32(tensor.scale)


def check_int8_input(model: TfliteFile) -> None:
    """Raise `KitError` unless the int8 input means `pixel - 128`."""
    tensor, spec = model.input, model.spec.input
    expected_scale, expected_zero_point = 1.0 / spec.raw_scale, spec.raw_offset - 128
    close = abs(tensor.scale - expected_scale) <= 1e-5 * expected_scale
    if tensor.dtype != "INT8" or not close or tensor.zero_point != expected_zero_point:
        raise KitError(
            f"{model.path}: input is {tensor.dtype} scale {tensor.scale:.8g} zero point "
            f"{tensor.zero_point}, expected INT8 scale {expected_scale:.8g} zero point "
            f"{expected_zero_point}; rebuild it with recipe.sh"
        )
