"""What every engine offers, and what the two TFLite engines share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import KitError
from ..preprocess import float_input, int8_input, upright
from ..spec import ModelSpec
from ..tflite_file import TensorInfo, TfliteFile

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Engine(Protocol):
    """Runs one model. `spec` says how its outputs are to be read."""

    name: str
    spec: ModelSpec

    def infer(self, canvas: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Canvas (see `runtime.preprocess`) -> float32 logits (h, w, C) by name, upright."""
        ...


# An int16 input counts these steps per pixel value.
INPUT_STEPS = 128


class TfliteEngine:
    """Base of the engines that run a TFLite file; they provide `_invoke`."""

    name = "tflite"

    def __init__(self, model: TfliteFile) -> None:
        self.spec = model.spec
        self.outputs = model.outputs
        check_input(model)
        self._input_of = _INPUTS[model.input.dtype]

    def _invoke(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        """The input -> the outputs, both in the file's types, in the file's order."""
        raise NotImplementedError

    def infer_raw(self, canvas: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Canvas -> logits (h, w, C) by name, upright, in the file's type: int8 if quantized so."""
        arrays = self._invoke(self._input_of(canvas, self.spec))
        return {t.name: upright(a[0], self.spec) for t, a in zip(self.outputs, arrays)}

    def infer(self, canvas: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Canvas -> float32 logits (h, w, C) by name, upright."""
        raw = self.infer_raw(canvas)
        return {t.name: dequantize(raw[t.name], t) for t in self.outputs}


def dequantize(values: NDArray[Any], tensor: TensorInfo) -> NDArray[np.float32]:
    """int8 or int16 -> float32; floats stay. Widened before the zero point is taken off: int8 -
    int8 wraps."""
    if tensor.dtype == "FLOAT32":
        return values
    widened = values.astype(np.int32) - tensor.zero_point
    return widened.astype(np.float32) * np.float32(tensor.scale)


def _int16_input(canvas: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.int16]:
    """(pixel - raw_offset) * INPUT_STEPS."""
    pixels = int8_input(canvas, spec).astype(np.int16) + np.int16(128 - spec.input.raw_offset)
    widened: NDArray[np.int16] = pixels * np.int16(INPUT_STEPS)
    return widened


_INPUTS: dict[str, Callable[[NDArray[np.uint8], ModelSpec], NDArray[Any]]] = {
    "INT8": int8_input,
    "INT16": _int16_input,
    "FLOAT32": float_input,
}


def check_input(model: TfliteFile) -> None:
    """Raise `KitError` unless an int8 input means `pixel - 128`, an int16 one the same from
    `raw_offset` in finer steps; floats are as `float_input` gives them."""
    tensor, spec = model.input, model.spec.input
    wanted = {
        "INT8": (1 / spec.raw_scale, spec.raw_offset - 128),
        "INT16": (1 / spec.raw_scale / INPUT_STEPS, 0),
        "FLOAT32": (0.0, 0),
    }
    scale, zero_point = wanted.get(tensor.dtype, wanted["INT8"])
    close = abs(tensor.scale - scale) <= 1e-5 * scale
    if tensor.dtype not in wanted or not close or tensor.zero_point != zero_point:
        raise KitError(
            f"{model.path}: input is {tensor.dtype} scale {tensor.scale:.8g} zero point "
            f"{tensor.zero_point}, expected INT8 scale {wanted['INT8'][0]:.8g} zero point "
            f"{wanted['INT8'][1]}; rebuild it with recipe.sh"
        )
