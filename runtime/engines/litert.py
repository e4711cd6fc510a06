"""LiteRT or TensorFlow Lite, the interpreter of Linux boards and PCs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import KitError
from ..quiet import silenced
from ..tflite_file import TfliteFile
from .base import TfliteEngine
from .interpreter import find_package, load_delegate, open_interpreter

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        try:
            package = find_package()
        except ImportError as error:
            raise KitError(f"engine litert: {error}") from None
        loaded = None if delegate is None else _load(package, delegate, delegate_options or {})
        try:
            with silenced():  # It announces its delegate on stderr.
                self._interpreter = open_interpreter(
                    package, model.content, threads, xnnpack, loaded
                )
        except (ValueError, RuntimeError) as error:
            raise KitError(f"{model.path}: LiteRT refuses it ({error})") from None
        self._input = self._interpreter.get_input_details()[0]["index"]
        by_name = {d["name"]: d["index"] for d in self._interpreter.get_output_details()}
        self._outputs = [by_name[tensor.name] for tensor in model.outputs]
        self._path = model.path

    def _invoke(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        self._interpreter.set_tensor(self._input, pixels)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise KitError(f"{self._path}: LiteRT cannot run it ({error})") from None
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def _load(package: Any, path: str | Path, options: Mapping[str, str]) -> Any:
    try:
        return load_delegate(package, path, options)
    except (ValueError, OSError) as error:
        raise KitError(f"--delegate {path}: cannot be loaded ({error})") from None
