"""What a file finds in an image, and how far two engines' answers lie apart.

On a board it is `python3 -m runtime`, of the wheel `nanodet-runtime`, and here `./nanodet run`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .cli import Parser, fraction, plural, positive, run
from .compare import describe_detections, describe_outputs
from .detector import DISPLAY_THRESHOLD, Detector
from .draw import annotate, check_picture_path, save_image
from .engines import TFLITE_ENGINES, LiteRtEngine, TfliteEngine, TflmEngine
from .errors import KitError
from .image import load_rgb
from .preprocess import to_canvas
from .tflite_file import TfliteFile

_PARITY: dict[str, Callable[[TfliteFile], TfliteEngine]] = {
    "litert": LiteRtEngine,
    "builtin": lambda file: LiteRtEngine(file, xnnpack=False),
    "tflm": TflmEngine,
}


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    detect_parser = commands.add_parser("detect", help="print the objects in an image")
    add = detect_parser.add_argument
    add("model", type=Path, metavar="MODEL")
    add("image", type=Path, metavar="IMAGE")
    add("--engine", choices=TFLITE_ENGINES, default="litert", help="default %(default)s")
    add("--score-threshold", type=fraction, default=DISPLAY_THRESHOLD, help="default %(default)s")
    add("--classes", metavar="LIST", help="only these, e.g. person,car")
    add("--threads", type=positive, help="of the interpreter")
    add("--delegate", type=Path, metavar="LIBRARY", help="external delegate, e.g. vx_delegate.so")
    add("--delegate-option", action="append", metavar="KEY:VALUE", help="of the delegate")
    add("--no-xnnpack", action="store_true", help="LiteRT's built-in kernels")
    add("--json", action="store_true", help="print JSON")
    add("--out", type=Path, metavar="IMAGE", help="draw the objects here")
    parity_parser = commands.add_parser("parity", help="compare two engines on images")
    add = parity_parser.add_argument
    add("model", type=Path, metavar="MODEL")
    add("images", type=Path, nargs="+", metavar="IMAGE")
    add("--score-threshold", type=fraction, default=DISPLAY_THRESHOLD, help="default %(default)s")
    add(
        "--engines",
        default="litert,tflm",
        metavar="A,B",
        help=f"two of {','.join(_PARITY)}; default %(default)s",
    )
    return parser.parse_args(words)


def _engine_options(options: argparse.Namespace) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if options.threads is not None:
        chosen["threads"] = options.threads
    if options.delegate is not None:
        chosen["delegate"] = options.delegate
    if options.no_xnnpack:
        chosen["xnnpack"] = False
    for text in options.delegate_option or ():
        key, colon, value = text.partition(":")
        if not colon or options.delegate is None:
            raise KitError(f"--delegate-option {text}: wants KEY:VALUE, and --delegate")
        chosen.setdefault("delegate_options", {})[key] = value
    return chosen


def detect(options: argparse.Namespace) -> int:
    """Print what is in an image."""
    if options.out is not None:
        check_picture_path(options.out, [options.image])
    detector = Detector(
        options.model,
        options.engine,
        options.score_threshold,
        classes=options.classes.split(",") if options.classes else None,
        **_engine_options(options),
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
        print(f"{plural(len(found), 'detection')} in {latency_ms:.1f} ms")
    if options.out is not None:
        save_image(annotate(rgb, found, detector.spec.classes), options.out)
    return 0


def parity(options: argparse.Namespace) -> int:
    """Print how far two engines lie apart: steps of the outputs, and detections."""
    names = options.engines.split(",")
    if len(names) != 2 or not set(names) <= set(_PARITY):
        raise KitError(f"--engines {options.engines}: wants two of {','.join(_PARITY)}")
    file = TfliteFile.read(options.model)
    engines = [_PARITY[name](file) for name in names]
    detectors = [Detector(e, score_threshold=options.score_threshold) for e in engines]
    for path in options.images:
        rgb = load_rgb(path)
        canvas, _ = to_canvas(rgb, file.spec.input)
        one, other = (engine.infer_raw(canvas) for engine in engines)
        found = [d.detect(rgb) for d in detectors]
        print(f"{path.name}: {describe_outputs(one, other)}; {describe_detections(*found)}")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command says."""
    options = parse_arguments(words)
    return detect(options) if options.command == "detect" else parity(options)


def console() -> int:
    """The program of the wheel and, of a folder, `python3 -m`."""
    if Path(sys.argv[0]).name == "__main__.py":
        Parser.program = f"python3 -m {__package__}"
    return run(main)


if __name__ == "__main__":
    sys.exit(console())
