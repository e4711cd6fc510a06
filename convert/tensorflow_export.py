"""ONNX -> TensorFlow SavedModel through onnx2tf, offline."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from convert.engines import OnnxEngine
from convert.libraries import tensorflow
from convert.parity import TOLERANCE, blame, first_unmatched, largest_difference
from runtime.errors import GateFailed
from runtime.files import writing
from runtime.operators import FACTS
from runtime.preprocess import float_input, upright
from runtime.spec import ModelSpec

SIGNATURE = "serving_default"

# onnx2tf downloads this file for 4-D inputs unless it lies in the working directory.
_SAMPLE_FILE = "calibration_image_sample_data_20x128x128x3_float32.npy"


def export(onnx_path: Path, path: Path, canvas: np.ndarray) -> None:
    """Write the SavedModel folder `path`: float32 NHWC, outputs named as in the ONNX file.

    canvas: a photograph for onnx2tf's own shape checks.
    """
    with writing(path) as temporary:
        scratch = temporary.parent
        sample = np.resize(canvas, (20, 128, 128, 3)).astype(np.float32) / 255
        np.save(scratch / _SAMPLE_FILE, sample)
        copy = shutil.copy(onnx_path, scratch)  # onnx2tf writes into the file it reads.
        copy, folder, before = Path(copy).resolve(), temporary.resolve(), Path.cwd()
        recursion = sys.getrecursionlimit()
        os.chdir(scratch)
        try:
            _convert(copy, folder)
        finally:
            os.chdir(before)
            # onnx2tf takes the limit away, and a deeply nested file kills the process after that.
            sys.setrecursionlimit(recursion)


def _convert(onnx_path: Path, folder: Path) -> None:
    tf = tensorflow()
    import onnx2tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = OnnxEngine(onnx_path).spec
    keras_model = onnx2tf.convert(
        input_onnx_file_path=str(onnx_path),
        output_folder_path=str(folder.parent / "onnx2tf"),
        disable_model_save=True,
        disable_strict_mode=True,  # It transposes where rows, columns and channels are as many.
        non_verbose=True,
    )
    signature = [tf.TensorSpec(spec.input_shape_nhwc, tf.float32, name="input")]
    whole = tf.function(keras_model, input_signature=signature)
    # Frozen: what Keras would write beside the graph takes longer than the conversion.
    frozen = convert_variables_to_constants_v2(whole.get_concrete_function())

    @tf.function(input_signature=signature)
    def serve(input: Any) -> dict[str, Any]:
        return dict(zip(spec.output_names, frozen(input), strict=True))

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: serve})


def check(onnx_path: Path, path: Path, canvas: np.ndarray) -> float:
    """Gate: the SavedModel answers as the ONNX file and has its operators, none more.

    Returns the largest difference of any logit. Raises `GateFailed` naming the first layer that
    differs.
    """
    tf = tensorflow()
    engine = OnnxEngine(onnx_path)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures[SIGNATURE]
    _check_operators(path, onnx_path, _operators(serve), engine.spec)
    results = serve(tf.constant(float_input(canvas, engine.spec)))
    outputs = {name: upright(value.numpy()[0], engine.spec) for name, value in results.items()}
    difference = largest_difference(engine.infer(canvas), outputs)
    if not difference < TOLERANCE:
        layer = _first_difference(onnx_path, path, engine.spec, canvas)
        raise GateFailed(
            f"{path}: TensorFlow differs from ONNX by {difference:.2g} (limit {TOLERANCE:g}), "
            + blame(layer)
        )
    return difference


def _operators(function: object) -> Counter[str]:
    graph = function.graph.as_graph_def()  # type: ignore[attr-defined]
    bodies = [graph.node, *(body.node_def for body in graph.library.function)]
    return Counter(node.op for nodes in bodies for node in nodes)


def _check_operators(path: Path, onnx_path: Path, actual: Counter[str], spec: ModelSpec) -> None:
    import onnx

    nodes = onnx.load(onnx_path).graph.node
    found = Counter(node.op_type for node in nodes)
    # Upright, strided layers pad on the top and left, which takes a Pad.
    allowed = "" if spec.graph.rotated_180 else "PAD"
    wanted = {
        facts.tensorflow: found[facts.onnx] if facts.onnx else 0
        for facts in FACTS.values()
        if facts.tensorflow and facts.name != allowed
    }
    # A hard swish is x * ReLU6(x + 3) * 1/6 until TensorFlow Lite's converter joins it.
    wanted["Mul"] += 2 * found["HardSwish"]
    wanted["Relu6"] += found["HardSwish"]
    grouped = sum(n.op_type == "Conv" and _group(n) > 1 for n in nodes)
    wanted["DepthwiseConv2dNative"] = grouped
    wanted["Conv2D"] = sum(n.op_type == "Conv" for n in nodes) - grouped
    for op, count in sorted(wanted.items()):
        if actual[op] != count:
            raise GateFailed(f"{path}: {actual[op]} {op} operators, expected {count}")


def _group(node: object) -> int:
    attributes = {a.name: a for a in node.attribute}  # type: ignore[attr-defined]
    return attributes["group"].i if "group" in attributes else 1


def _first_difference(
    onnx_path: Path, path: Path, spec: ModelSpec, canvas: np.ndarray
) -> str | None:
    """Name of the first ONNX tensor that no tensor of the float TFLite graph equals."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from convert.onnx_export import intermediates

    tf = tensorflow()
    content = tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], float_input(canvas, spec))
    interpreter.invoke()
    candidates = []
    for detail in interpreter.get_tensor_details():
        try:
            candidates.append(interpreter.get_tensor(detail["index"]))
        except ValueError:  # A tensor that the interpreter optimised away.
            continue
    fused = _fused(onnx_path)
    layers = [(n, v) for n, v in intermediates(onnx_path, canvas) if n not in fused]
    return first_unmatched(layers, candidates)


def _fused(onnx_path: Path) -> set[str]:
    """Tensors that TFLite never shows, since it fuses the ReLU or ReLU6 behind."""
    import onnx

    nodes = onnx.load(onnx_path).graph.node
    return {node.input[0] for node in nodes if node.op_type in ("Relu", "Clip")}
