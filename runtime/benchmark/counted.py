"""`python3 -m runtime.benchmark.counted MODEL KERNELS`, in the emulator: runs a model twice.

Before and after the second inference it calls getppid, for `instructions.c`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from ..engines.interpreter import find_package, open_interpreter

KERNELS = ("built-in", "xnnpack")


def main(model: str, kernels: str) -> None:
    """On one thread, with random inputs."""
    content, xnnpack = Path(model).read_bytes(), kernels == KERNELS[1]
    interpreter = open_interpreter(find_package(), content, xnnpack=xnnpack)
    random = np.random.default_rng(0)
    for source in interpreter.get_input_details():
        values = random.integers(0, 256, source["shape"]).astype(source["dtype"])
        interpreter.set_tensor(source["index"], values)
    interpreter.invoke()
    os.getppid()
    interpreter.invoke()
    os.getppid()


if __name__ == "__main__":
    main(*sys.argv[1:])
