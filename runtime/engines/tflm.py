"""TensorFlow Lite Micro on this machine: bit for bit what a Cortex-M answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import KitError
from ..quiet import silenced
from ..tflite_file import TfliteFile
from .base import TfliteEngine

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Far above what any NanoDet needs; the arena a board needs is measured by `runtime.engines.arena`.
HOST_ARENA_BYTES = 64 << 20


class TflmEngine(TfliteEngine):
    """Runs on the reference kernels of the `tflite-micro` package, which CMSIS-NN matches."""

    name = "tflm"

    def __init__(self, model: TfliteFile) -> None:
        super().__init__(model)
        try:
            from tflite_micro import runtime as tflm
        except ImportError:
            raise KitError("engine tflm: package tflite-micro is not installed") from None
        self._path = model.path
        try:
            with silenced():  # It explains itself on stderr, line by line.
                self._interpreter = tflm.Interpreter.from_bytes(
                    model.content, arena_size=HOST_ARENA_BYTES
                )
        except (ValueError, RuntimeError) as error:
            raise KitError(f"{model.path}: TFLite Micro refuses it ({error})") from None

    def _invoke(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        self._interpreter.set_input(pixels, 0)
        try:
            with silenced():
                self._interpreter.invoke()
        except RuntimeError as error:
            raise KitError(f"{self._path}: TFLite Micro cannot run it ({error})") from None
        return [np.array(self._interpreter.get_output(i)) for i in range(len(self.outputs))]
