"""SavedModel -> float TFLite file, by TensorFlow's converter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from convert.libraries import tensorflow
from quantize import flatbuffer, package
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph, unpack


def convert(saved_model: Path, kind: str = "float32") -> bytes:
    """Content of a file with float32 input and outputs: NHWC, named in its signature.

    kind: `float32`; `float16`, weights stored so; `dynamic`, int8 weights, activations rounded as
    they come.
    """
    tf = tensorflow()
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    if kind in ("float16", "dynamic"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    content: bytes = converter.convert()
    return content


def build(saved_model: Path, kind: str, spec: ModelSpec, path: str) -> tuple[bytes, Counter[str]]:
    """A finished file of one of `scheme.FLOAT_FORMATS`, and how often each operator occurs.

    path: names the file in errors.
    """
    model = unpack(convert(saved_model, kind))
    package.name_tensors(model, spec)
    package.embed_spec(model, spec)
    content = flatbuffer.serialize(model)
    TfliteFile.parse(content, path)  # Checks names and shapes of inputs and outputs.
    return content, Graph.of(model).counts
