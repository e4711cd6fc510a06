"""SavedModel -> float TFLite file, by TensorFlow's converter."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def convert(saved_model: Path) -> bytes:
    """Content of the float32 file: NHWC, named inputs and outputs in its signature."""
    import tensorflow as tf

    content: bytes = tf.lite.TFLiteConverter.from_saved_model(str(saved_model)).convert()
    return content
