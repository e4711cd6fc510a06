"""`python -m benchmarks.peers --nxp FILE`: latency on one x86 core beside others'.

Every run in turns with its peer, so that the ratio holds whatever else the machine does. FILE is
NXP's int8 NanoDet-m-0.5x, stride 32. Builds must lie in the working folder or be made before:
`recipe.sh`, and for all strides `recipe.sh --target linux` with and without `--stop-after onnx`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.markdown import replace_block, table
from pipeline.names import DEFAULT_MODEL, ROOT, onnx_path, tflite_path, variant
from runtime.files import write_text

RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
_RUNS = 200
_ALL = (8, 16, 32)
Call = Callable[[], object]


def litert(path: Path) -> Call:
    """An inference in LiteRT with XNNPACK on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    call: Call = interpreter.invoke
    return call


def openvino(path: Path) -> Call:
    """An inference in OpenVINO in float32 on one thread."""
    import openvino as ov

    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(path, "CPU", options).create_infer_request()
    pixels = np.zeros(request.model_inputs[0].shape, np.float32)
    return lambda: request.infer([pixels])


def in_turns(own: Call, peer: Call) -> tuple[float, float]:
    """Median milliseconds of both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_RUNS):
        for call, found in zip((own, peer), times, strict=True):
            start = time.perf_counter()
            call()
            found.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    """Measure and write results/peers.json and the table in README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nxp", type=Path, required=True, metavar="FILE")
    parser.add_argument("--folder", type=Path, default=ROOT, help="of the builds")
    options = parser.parse_args()
    coarse, whole = variant(DEFAULT_MODEL, None), variant(DEFAULT_MODEL, _ALL)
    pairs = {
        "stride 32, int8": ("NXP's file in LiteRT", litert, options.nxp, coarse),
        "strides 8,16,32, int8": (
            "OpenVINO, float32, same network",
            openvino,
            onnx_path(whole, options.folder, "plain"),
            whole,
        ),
    }
    rows, cells = [], []
    for name, (peer_name, runner, peer, spec) in pairs.items():
        ms, peer_ms = in_turns(litert(tflite_path(spec, options.folder)), runner(peer))
        rows.append({"file": name, "ms": ms, "peer": peer_name, "peer_ms": peer_ms})
        cells.append((name, f"{ms:.2f}", peer_name, f"{peer_ms:.2f}", f"{ms / peer_ms:.2f}"))
    write_text(RESULTS, json.dumps(rows, indent=1) + "\n")
    header = ("this kit's file", "ms", "peer", "ms", "ratio")
    replace_block(ROOT / "README.md", "peers", table(header, cells))


if __name__ == "__main__":
    main()
