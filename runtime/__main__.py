"""`python -m runtime detect MODEL IMAGE` and `python -m runtime parity MODEL IMAGE ...`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from runtime.cli import Parser, fraction, positive, run
from runtime.detector import Detector
from runtime.draw import annotate, save_image
from runtime.engines import TFLITE_ENGINES, open_engine
from runtime.image import load_rgb
from runtime.preprocess import to_canvas
from runtime.tflite_file import TfliteFile

_SCORE = 0.35


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m runtime", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    detect_parser = commands.add_parser("detect", help="print the objects in an image")
    add = detect_parser.add_argument
    add("model", type=Path, metavar="MODEL")
    add("image", type=Path, metavar="IMAGE")
    add("--engine", choices=TFLITE_ENGINES, default="litert", help="default %(default)s")
    add("--score-threshold", type=fraction, default=_SCORE, help="default %(default)s")
    add("--classes", metavar="LIST", help="only these, e.g. person,car")
    add("--threads", type=positive, help="of the interpreter")
    add("--delegate", type=Path, metavar="LIBRARY", help="external delegate, e.g. vx_delegate.so")
    add("--json", action="store_true", help="print JSON")
    add("--output", type=Path, metavar="IMAGE", help="draw the objects here")
    parity_parser = commands.add_parser("parity", help="compare two engines on images")
    add = parity_parser.add_argument
    add("model", type=Path, metavar="MODEL")
    add("images", type=Path, nargs="+", metavar="IMAGE")
    add("--score-threshold", type=fraction, default=_SCORE, help="default %(default)s")
    return parser.parse_args()


def detect(options: argparse.Namespace) -> int:
    """Print what is in an image."""
    engine_options = {"threads": options.threads, "delegate": options.delegate}
    detector = Detector(
        options.model,
        options.engine,
        options.score_threshold,
        classes=options.classes.split(",") if options.classes else None,
        **{name: value for name, value in engine_options.items() if value is not None},
    )
    rgb = load_rgb(options.image)
    start = time.perf_counter()
    found = detector.detect(rgb)
    latency_ms = 1000 * (time.perf_counter() - start)
    if options.json:
        print(found.to_json())
    else:
        for name, score, box in zip(found.class_name, found.confidence, found.xyxy):
            print(f"{name:<16} {score:.3f}  " + " ".join(f"{v:7.1f}" for v in box))
        print(f"{len(found)} detections in {latency_ms:.1f} ms")
    if options.output is not None:
        save_image(annotate(rgb, found, detector.spec.classes), options.output)
    return 0


def parity(options: argparse.Namespace) -> int:
    """Print how far LiteRT and TFLite Micro lie apart: steps of the outputs, and detections."""
    file = TfliteFile.read(options.model)
    engines = [open_engine(name, file) for name in TFLITE_ENGINES]
    detectors = [Detector(e, score_threshold=options.score_threshold) for e in engines]
    for path in options.images:
        rgb = load_rgb(path)
        canvas, _ = to_canvas(rgb, file.spec.input)
        one, other = (engine.infer_raw(canvas) for engine in engines)
        steps = [np.abs(one[n].astype(np.float32) - other[n]) for n in one]
        worst = max(float(s.max()) for s in steps)
        mean = float(np.mean([s.mean() for s in steps]))
        counts = " and ".join(str(len(d.detect(rgb))) for d in detectors)
        print(f"{path.name}: outputs differ by {worst:g} at most, {mean:.2f} in the mean; "
              f"{counts} detections")  # fmt: skip
    return 0


def main() -> int:
    """Do what the command says."""
    options = parse_arguments()
    return detect(options) if options.command == "detect" else parity(options)


if __name__ == "__main__":
    sys.exit(run(main))
