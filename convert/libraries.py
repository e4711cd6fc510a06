"""How TensorFlow is imported."""

from __future__ import annotations

import contextlib
import os
from typing import Any


def tensorflow() -> Any:
    """The package, silent, and after Triton.

    Triton comes with PyTorch's builds for CUDA, which import it sooner or later. After TensorFlow
    that ends the process with a segmentation fault.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401
    import tensorflow

    return tensorflow
