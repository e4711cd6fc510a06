"""LiteRT or TensorFlow Lite, the interpreter of Linux boards and PCs."""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runtime.engines.base import TfliteEngine
from runtime.errors import KitError
from runtime.quiet import output_to
from runtime.tflite_file import TfliteFile

# Packages with an interpreter, the best first; boards often carry the older ones.
_INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")


class LiteRtEngine(TfliteEngine):
    """Runs on XNNPACK, on the plain built-in kernels with `xnnpack=False`, or on a delegate.

    threads: of the interpreter. delegate: path of an external delegate's library, such as
    `libvx_delegate.so` or `libethosu_delegate.so`, with its options.
    """

    name = "litert"

    def __init__(
        self,
        model: TfliteFile,
        threads: int = 1,
        xnnpack: bool = True,
        delegate: str | Path | None = None,
        delegate_options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model)
        tflite = _interpreter_module()
        options: dict[str, Any] = {"model_content": model.content, "num_threads": threads}
        if delegate is not None:
            options["experimental_delegates"] = [_load(tflite, delegate, delegate_options or {})]
        elif not xnnpack:
            options["experimental_op_resolver_type"] = (
                tflite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            )
        try:
            with output_to(Path(os.devnull)):  # It announces its delegate on stderr.
                self._interpreter = tflite.Interpreter(**options)
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


def _interpreter_module() -> Any:
    for name in _INTERPRETERS:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise KitError("engine litert: no interpreter here; pip install ai-edge-litert")


def _load(tflite: Any, path: str | Path, options: Mapping[str, str]) -> Any:
    try:
        ctypes.CDLL(str(path))  # `load_delegate` fails with noise.
        return tflite.load_delegate(str(path), dict(options))
    except (ValueError, OSError) as error:
        raise KitError(f"--delegate {path}: cannot be loaded ({error})") from None
