"""`python -m benchmarks.stages --images DIR`: what each stage of a detection takes, beside peers.

One thread, over photographs; stages and peers take turns, so that ratios hold whatever else the
machine does. In its turn each runs a few times: the first time *cold*, with the caches full of the
others' data, then warm. The networks of ONNX Runtime, OpenVINO and ncnn
are the same lowered graph in float32. Before: `recipe.sh --target linux` and the same with
`--stop-after onnx`; packages of locks/benchmark.lock. Writes results/stages.json and the
table in docs/speed.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import networks, textbook
from benchmarks.builds import write_rows
from benchmarks.markdown import replace_block, table
from data.names import DEFAULT_MODEL, ROOT, onnx_path, tflite_path, variant
from runtime.detector import (
    DISPLAY_THRESHOLD,
    IOU_THRESHOLD,
    MAX_DETECTIONS,
    SCORE_THRESHOLD,
)
from runtime.engines import LiteRtEngine
from runtime.image import list_images, load_rgb
from runtime.postprocess import FloatPostprocess, IntegerPostprocess, Selection
from runtime.preprocess import int8_input, to_canvas
from runtime.tflite_file import TfliteFile

RESULTS = ROOT / "benchmarks" / "results" / "stages.json"
DOCUMENT = ROOT / "docs" / "speed.md"
_ALL = (8, 16, 32)
_TURN = 6
# Name of a stage and of who does it -> what it does with one photograph.
Work = dict[tuple[str, str], Callable[[], object]]
Times = dict[tuple[str, str], list[list[float]]]


def stages(engine: LiteRtEngine, path: Path, peers: networks.Networks) -> Work:
    """The stages of one photograph, each fed by the kit's own answer of the one before."""
    spec, rgb = engine.spec, load_rgb(path)
    canvas, _ = to_canvas(rgb, spec.input)
    raw = engine.infer_raw(canvas)
    real = engine.infer(canvas)
    height, width = canvas.shape[:2]
    photograph = Image.fromarray(rgb)
    work: Work = {
        ("decode the JPEG", "kit"): lambda: load_rgb(path),
        ("preprocess", "kit"): lambda: int8_input(to_canvas(rgb, spec.input)[0], spec),
        ("preprocess", "Pillow's resize alone"): lambda: np.asarray(
            photograph.resize((width, height), Image.Resampling.BILINEAR)
        ),
        ("infer", "kit"): lambda: engine.infer_raw(canvas),
    }
    for name, run in peers.items():
        work["infer", name] = run
    for threshold in (DISPLAY_THRESHOLD, SCORE_THRESHOLD):
        stage, selection = (
            f"post-process at {threshold}",
            Selection(threshold, IOU_THRESHOLD, MAX_DETECTIONS),
        )
        work[stage, "kit"] = partial(IntegerPostprocess(engine, selection).find, raw)
        work[stage, "kit, in floats"] = partial(FloatPostprocess(engine, selection).find, real)
        settings = engine.outputs, spec, threshold, IOU_THRESHOLD, MAX_DETECTIONS
        work[stage, "textbook"] = partial(textbook.find, raw, *settings)
    return work


def measure(engine: LiteRtEngine, images: list[Path], peers: networks.Networks) -> Times:
    """Milliseconds of every turn, by stage and who."""
    times: Times = {}
    for path in tqdm(images, desc="measure", disable=None):
        work = stages(engine, path, peers)
        for key, run in work.items():
            turn = []
            for _ in range(_TURN):
                start = time.perf_counter()
                run()
                turn.append(1000 * (time.perf_counter() - start))
            times.setdefault(key, []).append(turn)
    return times


def rows_of(times: Times) -> list[dict[str, Any]]:
    """Medians and percentiles, and the ratio to the kit's own warm median."""
    warm = {key: np.array(turns)[:, 1:].ravel() for key, turns in times.items()}
    return [
        {
            "stage": stage,
            "by": who,
            "median_ms": float(np.median(ms)),
            "p95_ms": float(np.percentile(ms, 95)),
            "cold_ms": float(np.median(np.array(times[stage, who])[:, 0])),
            "of_kit": float(np.median(ms) / np.median(warm[stage, "kit"])),
        }
        for (stage, who), ms in warm.items()
    ]


def render(found: dict[str, Any]) -> str:
    """The table in Markdown."""
    figures = "median_ms", "p95_ms", "cold_ms", "of_kit"
    cells = [(r["stage"], r["by"], *(f"{r[name]:.2f}" for name in figures)) for r in found["rows"]]
    header = ("stage", "by", "warm median, ms", "warm p95, ms", "cold median, ms", "of the kit's")
    text = table(header, cells)
    if found["not_installed"]:
        text += f"\n\nNot installed when this was measured: {', '.join(found['not_installed'])}."
    return text


def main() -> None:
    """Measure and write results/stages.json and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--limit", type=int, default=50, help="images, default %(default)s")
    parser.add_argument("--folder", type=Path, default=ROOT, help="of the builds")
    options = parser.parse_args()
    spec = variant(DEFAULT_MODEL, _ALL)
    engine = LiteRtEngine(TfliteFile.read(tflite_path(spec, options.folder)))
    peers, missing = networks.installed(onnx_path(spec, options.folder, "plain"))
    images = list_images(options.images)[: options.limit]
    times = measure(engine, images, peers)
    rows = rows_of(times)
    found = {"rows": rows, "not_installed": missing}
    write_rows(RESULTS, found)
    replace_block(DOCUMENT, "stages", render(found))


if __name__ == "__main__":
    main()
