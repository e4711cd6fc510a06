"""SavedModel -> full-int8 TFLite by post-training quantization (min/max ranges)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from runtime.preprocess import float_input
from runtime.spec import ModelSpec

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

INPUT_NAME = "input"


def quantize(saved_model: Path, spec: ModelSpec, canvases: Iterable[np.ndarray]) -> bytes:
    """Convert with int8 input and outputs, int8 weights (per channel) and int8 activations.

    canvases: calibration photographs, see `runtime.preprocess`.
    """
    import tensorflow as tf

    def representative_dataset() -> Iterator[dict[str, np.ndarray]]:
        for canvas in with_full_range(canvases):
            yield {INPUT_NAME: float_input(canvas, spec)}

    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative_dataset
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


def with_full_range(canvases: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The canvases; the first with one corner pixel black and its neighbour white.

    The input's scale comes from its smallest and largest value, and must come out as
    `pixel - 128` whatever the photographs hold.
    """
    for i, canvas in enumerate(canvases):
        if i == 0:
            canvas = canvas.copy()
            canvas[0, 0], canvas[0, 1] = 0, 255
        yield canvas
