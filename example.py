"""Detects objects: `./nanodet detect [IMAGE | FOLDER | VIDEO] [--camera N]`, or example.py."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -P` leaves it out.
    import environment

    environment.enter()

import argparse
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data import locate
from data.fallback import default_model
from data.names import ROOT, tflite_path, variant
from runtime.cli import Parser, fraction, positive, run
from runtime.detections import Detections
from runtime.detector import DISPLAY_THRESHOLD, Detector
from runtime.draw import annotate, check_picture_path, save_image
from runtime.errors import KitError
from runtime.files import overwritten
from runtime.image import list_images, load_rgb
from runtime.video import VIDEO_SUFFIXES, VideoSource, video_sink

# Formats that hold any picture as it is drawn.
_DRAWN_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
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
    add("--score-threshold", type=fraction, default=DISPLAY_THRESHOLD, help="default %(default)s")
    add(
        "--output",
        type=Path,
        help="default: result.jpg; results/ for a folder; result.mp4 for a video or camera",
    )
    options = parser.parse_args(words)
    if options.camera is not None and options.source is not None:
        parser.error("--camera reads no SOURCE; give one of the two")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Detect, print, draw."""
    options = parse_arguments(words)
    source, output = options.source, options.output
    if not options.model.is_file():
        raise KitError(f"--model {options.model}: no such file; build it with: bash recipe.sh")
    if options.camera is not None or (source and source.suffix.lower() in VIDEO_SUFFIXES):
        detect_video(options, output or Path("result.mp4"))
    elif source and source.is_dir():
        detect_folder(options, output or Path("results"))
    else:
        detect_image(options, output or Path("result.jpg"))
    return 0


def open_detector(options: argparse.Namespace) -> Detector:
    """As the options say."""
    return Detector(options.model, options.engine, options.score_threshold)


def detect_image(options: argparse.Namespace, output: Path) -> None:
    """One image, by default the first of calibration."""
    detector = open_detector(options)
    path = options.source or locate.calibration_images(detector.spec, None)[0]
    check_picture_path(output, [path])
    draw(detector, path, load_rgb(path), output)


def detect_folder(options: argparse.Namespace, output: Path) -> None:
    """Every image of a folder. Raises `KitError` at the end for those that cannot be read."""
    folder = options.source
    paths = list_images(folder)
    if not paths:
        raise KitError(f"{folder}: holds no images")
    drawn = [output / drawn_name(path) for path in paths]
    if (lost := overwritten([output, *drawn], [folder, *paths])) is not None:
        raise KitError(f"--output {output}: {lost} is read from; choose another folder")
    if output.exists() and not output.is_dir():
        raise KitError(f"--output {output}: is a file; name a folder")
    detector, unreadable = open_detector(options), []
    start = time.perf_counter()
    for path, target in zip(paths, drawn):
        try:
            rgb = load_rgb(path)
        except KitError as error:
            print(f"skipped: {error}")
            unreadable.append(path.name)
        else:
            draw(detector, path, rgb, target)
    count = len(paths) - len(unreadable)
    print(f"{count} images, {count / (time.perf_counter() - start):.1f} frames a second")
    if unreadable:
        raise KitError(
            f"{folder}: {len(unreadable)} of {len(paths)} images cannot be read: "
            f"{', '.join(unreadable)}"
        )


def drawn_name(path: Path) -> str:
    """Of the picture drawn from `path`: a PNG where its format is not written, or not in full."""
    return path.name if path.suffix.lower() in _DRAWN_SUFFIXES else f"{path.name}.png"


def draw(detector: Detector, path: Path, rgb: NDArray[np.uint8], output: Path) -> None:
    """Every detection on a line of its own, and all in a picture."""
    detections = detector.detect(rgb)
    print_detections(detections, detector.spec.classes)
    save_image(annotate(rgb, detections, detector.spec.classes), output)
    print(f"{len(detections)} detections in {path}, drawn in {output}")


def detect_video(options: argparse.Namespace, output: Path) -> None:
    """A video or camera: annotated frames with the rate, written as a video."""
    if options.camera is None and overwritten([output], [options.source]):
        raise KitError(f"--output {output}: is the input; choose another name")
    detector = open_detector(options)
    source = VideoSource(options.source if options.camera is None else options.camera)
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
