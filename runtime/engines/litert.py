"""LiteRT (ai-edge-litert), the TFLite interpreter of Linux boards and PCs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from runtime.engines.base import TfliteEngine
from runtime.errors import KitError
from runtime.quiet import output_to
from runtime.tflite_file import TfliteFile


class LiteRtEngine(TfliteEngine):
    """Runs on XNNPACK, or on the plain built-in kernels with `xnnpack=False`."""

    name = "litert"

    def __init__(self, model: TfliteFile, threads: int = 1, xnnpack: bool = True) -> None:
        super().__init__(model)
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError:
            raise KitError("engine litert: package ai-edge-litert is not installed") from None
        resolver = (
            OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        try:
            with output_to(Path(os.devnull)):  # It announces its delegate on stderr.
                self._interpreter = Interpreter(
                    model_content=model.content,
                    num_threads=threads,
                    experimental_op_resolver_type=resolver,
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise KitError(f"{model.path}: LiteRT refuses it ({error})") from None
        self._input = self._interpreter.get_input_details()[0]["index"]
        by_name = {d["name"]: d["index"] for d in self._interpreter.get_output_details()}
        self._outputs = [by_name[tensor.name] for tensor in model.outputs]

    def _invoke(self, pixels: np.ndarray) -> list[np.ndarray]:
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
