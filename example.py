"""Detects objects: `python example.py [IMAGE | FOLDER | VIDEO] [--camera N]`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -P` leaves it out.
import environment

environment.enter()

import argparse
import time

import numpy as np

import assets
from pipeline.fallback import default_model
from pipeline.names import ROOT, tflite_path, variant
from runtime.cli import Parser, fraction, positive, run
from runtime.detections import Detections
from runtime.detector import Detector
from runtime.draw import annotate, save_image
from runtime.errors import KitError
from runtime.image import list_images, load_rgb
from runtime.video import VIDEO_SUFFIXES, VideoSource, video_sink


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add(
        "source",
        nargs="?",
        type=Path,
        metavar="SOURCE",
        help="image, folder of images or video; default: the first calibration image",
    )
    add("--camera", type=int, metavar="N", help="read camera N instead; stop with Ctrl-C")
    add("--frames", type=positive, metavar="N", help="stop a video or camera after N frames")
    add(
        "--model",
        type=Path,
        default=tflite_path(variant(default_model(ROOT), None), ROOT),
        help="a .tflite of this kit; default: what recipe.sh builds",
    )
    add("--engine", choices=("litert", "tflm"), default="litert", help="default %(default)s")
    add("--score-threshold", type=fraction, default=0.35, help="default %(default)s")
    add(
        "--output",
        type=Path,
        help="default: result.jpg; results/ for a folder; result.mp4 for a video or camera",
    )
    options = parser.parse_args()
    if options.camera is not None and options.source is not None:
        parser.error("--camera reads no SOURCE; give one of the two")
    return options


def main() -> int:
    """Detect, print, draw."""
    options = parse_arguments()
    if not options.model.is_file():
        raise KitError(f"--model {options.model}: no such file; build it with: bash recipe.sh")
    detector = Detector(options.model, options.engine, options.score_threshold)
    source = options.source
    if options.camera is not None or (source and source.suffix.lower() in VIDEO_SUFFIXES):
        detect_video(detector, options)
    elif source and source.is_dir():
        detect_folder(detector, source, options.output or Path("results"))
    else:
        path = source or assets.calibration_images(detector.spec, None)[0]
        detect_image(detector, path, options.output or Path("result.jpg"))
    return 0


def detect_image(detector: Detector, path: Path, output: Path) -> None:
    """One image: every detection on a line of its own."""
    rgb = load_rgb(path)
    detections = detector.detect(rgb)
    print_detections(detections, detector.spec.classes)
    save_image(annotate(rgb, detections, detector.spec.classes), output)
    print(f"{len(detections)} detections in {path}, drawn in {output}")


def detect_folder(detector: Detector, folder: Path, output: Path) -> None:
    """Every image of a folder."""
    paths = list_images(folder)
    if not paths:
        raise KitError(f"{folder}: holds no images")
    start = time.perf_counter()
    for path in paths:
        detect_image(detector, path, output / path.name)
    print(f"{len(paths)} images, {len(paths) / (time.perf_counter() - start):.1f} frames a second")


def detect_video(detector: Detector, options: argparse.Namespace) -> None:
    """A video or camera: annotated frames with the rate, written as a video."""
    source = VideoSource(options.source if options.camera is None else options.camera)
    output = options.output or Path("result.mp4")
    count, start = 0, time.perf_counter()
    with video_sink(output, source.fps) as sink:
        try:
            for rgb in source:
                detections = detector.detect(rgb)
                sink.write(np.asarray(annotate(rgb, detections, detector.spec.classes)))
                count += 1
                rate = count / (time.perf_counter() - start)
                print(f"\rframe {count}: {len(detections)} detections, "
                      f"{rate:.1f} frames a second", end="", flush=True)  # fmt: skip
                if count == options.frames:
                    break
        except KeyboardInterrupt:
            pass  # The user's way to end a camera; what was seen is kept.
    print(f"\n{count} frames, drawn in {output}")


def print_detections(detections: Detections, names: tuple[str, ...]) -> None:
    """Class, score and box in pixels of each detection."""
    for xyxy, confidence, class_id in zip(
        detections.xyxy, detections.confidence, detections.class_id
    ):
        box = " ".join(f"{value:7.1f}" for value in xyxy)
        print(f"{names[class_id]:<16} {confidence:.3f}  {box}")


if __name__ == "__main__":
    sys.exit(run(main))
