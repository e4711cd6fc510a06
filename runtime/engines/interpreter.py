"""Opens LiteRT or TensorFlow Lite. Run as a script, it answers arrays with arrays:

    python3 interpreter.py MODEL INPUTS.npz OUTPUTS.npz [--threads N] [--delegate LIBRARY]

This file needs numpy and an interpreter only, and nothing of this package: it is copied to boards
as it is (`analysis.parity`).
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray  # Of numpy 1.20, and a board's may be older.

# Packages with an interpreter, the best first; boards often carry the older ones.
PACKAGES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")


def find_package() -> Any:
    """The module with the interpreter. Raises `ImportError` where there is none."""
    for name in PACKAGES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError("no interpreter here; pip install ai-edge-litert")


def load_delegate(package: Any, path: str | Path, options: Mapping[str, str]) -> Any:
    """An external delegate. Raises `ValueError` or `OSError`."""
    ctypes.CDLL(str(path))  # `load_delegate` fails with noise.
    return package.load_delegate(str(path), dict(options))


def open_interpreter(
    package: Any, content: bytes, threads: int = 1, xnnpack: bool = True, delegate: Any = None
) -> Any:
    """An interpreter with its tensors allocated. Raises `ValueError` or `RuntimeError`."""
    options: dict[str, Any] = {"model_content": content, "num_threads": threads}
    if delegate is not None:
        options["experimental_delegates"] = [delegate]
    elif not xnnpack:
        options["experimental_op_resolver_type"] = (
            package.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
    interpreter = package.Interpreter(**options)
    interpreter.allocate_tensors()
    return interpreter


def answer(interpreter: Any, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Run N times. inputs: an array (N, *shape) for each input of the model; returns one for each
    output, both in the file's order and types."""
    sources = interpreter.get_input_details()
    details = interpreter.get_output_details()
    answers: list[list[NDArray[Any]]] = [[] for _ in details]
    for values in zip(*inputs):
        for source, array in zip(sources, values):
            interpreter.set_tensor(source["index"], array)
        interpreter.invoke()
        for detail, kept in zip(details, answers):
            kept.append(interpreter.get_tensor(detail["index"]))
    return [np.stack(arrays) for arrays in answers]


def save_arrays(file: Any, arrays: Sequence[NDArray[Any]]) -> None:
    """Write arrays to a file or stream."""
    np.savez(file, **{str(i): array for i, array in enumerate(arrays)})


def load_arrays(file: Any) -> list[NDArray[Any]]:
    """What `save_arrays` wrote. Raises `OSError`, `ValueError`, `KeyError` or `BadZipFile`."""
    arrays = np.load(file)
    return [arrays[str(i)] for i in range(len(arrays.files))]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "inputs", "outputs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--delegate", default="")
    parser.add_argument("--delegate-option", action="append", default=[], metavar="KEY:VALUE")
    return parser.parse_args()


def main() -> int:
    """Write the outputs as arrays `0`, `1`, ...; an error is one line."""
    options = _parse_arguments()
    try:
        package = find_package()
        delegate = None
        if options.delegate:
            pairs = dict(text.split(":", 1) for text in options.delegate_option)
            delegate = load_delegate(package, options.delegate, pairs)
        content = options.model.read_bytes()
        interpreter = open_interpreter(package, content, options.threads, True, delegate)
        outputs = answer(interpreter, load_arrays(options.inputs))
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    save_arrays(options.outputs, outputs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
