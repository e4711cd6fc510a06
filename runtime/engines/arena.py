"""How large a tensor arena TFLite Micro needs for a model, by its own recording allocator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from ..errors import KitError
from ..tflite_schema import read_any_model
from .tflm import HOST_ARENA_BYTES

MARGIN_PERCENT = 2
TABLE_BYTES = 256 + 16  # Of a LEAKY_RELU in the firmware: aligned, with what TFLite Micro adds.
_ALIGNMENT = 16
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")


def arena_bytes(path: Path) -> int:
    """Arena bytes on this machine: an upper bound, 1 to 4 % above a Cortex-M's.

    Runs in a process of its own because the allocator prints its figures to stderr.
    Raises `KitError` when TFLite Micro cannot run the model.
    """
    # In a checkout the package is `runtime`, of the wheel `nanodet_runtime`.
    command = [sys.executable, "-m", f"{__package__}.arena", str(path.resolve())]
    root = Path(__file__).parent.parent.parent
    # Whatever is on the path here is there, in the same order.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, *sys.path)))}
    finished = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    match = _TOTAL.search(finished.stderr)
    if finished.returncode or match is None:
        said, _, trace = finished.stderr.partition("Traceback")
        reason = said.strip() or trace.strip() or f"exit code {finished.returncode}"
        raise KitError(f"{path}: TFLite Micro cannot run it ({reason[-200:]})")
    return int(match.group(1))


def reserved_bytes(measured: int, leaky_relus: int) -> int:
    """What the firmware sets aside for a file whose `arena_bytes` are `measured`.

    leaky_relus: operators LEAKY_RELU, for each of which the firmware's kernel keeps a table. It is
    what `recipe.sh --budget-arena` promises and what the doctor compares with a board's memories.
    """
    needed = (measured + leaky_relus * TABLE_BYTES) * (100 + MARGIN_PERCENT)
    return -(-needed // (100 * _ALIGNMENT)) * _ALIGNMENT


def _print_allocations(path: str) -> None:
    """Of any file, with a model spec or without, after an inference of zeros."""
    from tflite_micro import runtime as tflm

    content = Path(path).read_bytes()
    inputs = len(read_any_model(content)["subgraphs"][0]["inputs"])
    interpreter = tflm.Interpreter.from_bytes(content, arena_size=HOST_ARENA_BYTES)
    for index in range(inputs):
        details = interpreter.get_input_details(index)
        interpreter.set_input(np.zeros(details["shape"], details["dtype"]), index)
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    _print_allocations(sys.argv[1])
