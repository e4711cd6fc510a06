"""Other people's interpreters, each with one network on one thread."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

Call = Callable[[], object]
# Name -> an inference of a black image.
Networks = dict[str, Call]


def litert(model: Path) -> Call:
    """LiteRT with XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(model), num_threads=1)
    interpreter.allocate_tensors()
    call: Call = interpreter.invoke
    return call


def onnx_runtime(onnx: Path) -> Call:
    """Float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    pixels = np.zeros(session.get_inputs()[0].shape, np.float32)
    return lambda: session.run(None, {session.get_inputs()[0].name: pixels})


def openvino(model: Path) -> Call:
    """Float32, of an ONNX file, or whatever a TFLite file holds."""
    import openvino as ov

    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(model, "CPU", options).create_infer_request()
    pixels = np.zeros(request.model_inputs[0].shape, np.float32)
    return lambda: request.infer([pixels])


def ncnn(onnx: Path) -> Call:
    """Float32, converted by pnnx."""
    import ncnn as interpreter
    import onnx as onnx_package

    shape = [d.dim_value for d in onnx_package.load(onnx).graph.input[0].type.tensor_type.shape.dim]
    net = interpreter.Net()
    net.opt.num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(onnx, Path(folder, "model.onnx")))
        size = ",".join(map(str, shape))
        pnnx = str(Path(sys.executable).with_name("pnnx"))
        command = [pnnx, copy.name, f"inputshape=[{size}]", "fp16=0"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        net.load_param(str(copy.with_suffix(".ncnn.param")))
        net.load_model(str(copy.with_suffix(".ncnn.bin")))
    pixels = interpreter.Mat(np.zeros(shape[1:], np.float32))
    outputs = list(net.output_names())

    def infer() -> object:
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], pixels)
        return [np.array(extractor.extract(name)[1]) for name in outputs]

    return infer


_KNOWN = {
    "ONNX Runtime": ("onnxruntime", onnx_runtime),
    "OpenVINO": ("openvino", openvino),
    "ncnn": ("ncnn", ncnn),
}


def installed(onnx: Path) -> tuple[Networks, list[str]]:
    """An ONNX file in all that are installed, and the names of those that are not."""
    found = {name: run(onnx) for name, (module, run) in _KNOWN.items() if find_spec(module)}
    return found, [name for name in _KNOWN if name not in found]


def in_turns(own: Call, peer: Call, runs: int) -> tuple[float, float]:
    """Median milliseconds of both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for call, found in zip((own, peer), times, strict=True):
            start = time.perf_counter()
            call()
            found.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[0]), statistics.median(times[1])
