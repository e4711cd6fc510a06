"""Detects objects: `./nanodet detect [IMAGE | FOLDER | VIDEO] [--camera N]`, or example.py."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -P` leaves it out.
    import environment

    environment.enter()

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import locate
from data.fallback import default_model
from data.names import ROOT, tflite_path, variant
from runtime.cli import Parser, Renamed, fraction, plural, positive, run
from runtime.detections import Detections
from runtime.detector import DISPLAY_THRESHOLD, Detector
from runtime.draw import annotate, check_picture_path, save_image
from runtime.errors import KitError
from runtime.files import overwritten
from runtime.image import list_images, load_rgb
from runtime.quiet import say
from runtime.spec import ModelSpec
from runtime.video import VIDEO_SUFFIXES, VideoSource, video_sink
from runtime.window import Window

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
        "--tflite",
        type=Path,
        metavar="FILE",
        default=tflite_path(variant(default_model(ROOT), None), ROOT),
        help="a .tflite of this kit; default: what recipe.sh builds",
    )
    add("--engine", choices=("litert", "tflm"), default="litert", help="default %(default)s")
    add(
        "--score-threshold",
        type=fraction,
        metavar="SCORE",
        default=DISPLAY_THRESHOLD,
        help="default %(default)s",
    )
    add(
        "--out",
        type=Path,
        metavar="PATH",
        help="default: result.jpg; results/ for a folder; result.webm for a video or camera",
    )
    add("--show", action="store_true", help="also show it in a window; Escape closes it")
    add("--json", action="store_true", help="print a line of JSON for each picture")
    for old, new in (("--model", "--tflite"), ("--output", "--out")):
        add(old, action=Renamed, metavar=new, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.camera is not None and options.source is not None:
        parser.error("--camera reads no SOURCE; give one of the two")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Detect, print, draw."""
    options = parse_arguments(words)
    source, output = options.source, options.out
    if not options.tflite.is_file():
        raise KitError(f"--tflite {options.tflite}: no such file; build it with: bash recipe.sh")
    session = Session(options)
    if options.camera is not None or (source and source.suffix.lower() in VIDEO_SUFFIXES):
        detect_video(session, output or Path("result.webm"))
    elif source and source.is_dir():
        detect_folder(session, output or Path("results"))
    else:
        detect_image(session, output or Path("result.jpg"))
    if session.window is not None:
        session.window.wait()
    return 0


def missing_strides(spec: ModelSpec) -> str:
    """What a file without the network's finest strides does not find; "" for one that has all."""
    used, known = spec.graph.strides, spec.architecture.strides
    if used == known:
        return ""
    had, of = (",".join(map(str, strides)) for strides in (used, known))
    sizes = "large objects only" if used == known[-1:] else "no small objects"
    return f"note: strides {had} of {of} find {sizes}; bash recipe.sh --target linux builds all"


class Session:
    """A detector, and where its findings go: to stdout, a picture and a window."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.window = Window() if options.show else None
        self.detector = Detector(options.tflite, options.engine, options.score_threshold)
        self.tell(missing_strides(self.detector.spec))

    def tell(self, text: str) -> None:
        """A line beside the detections, which JSON does not have."""
        if text and not self.options.json:
            say(text)

    def annotated(self, rgb: NDArray[np.uint8], detections: Detections) -> Any:
        """The picture, shown where that is wanted."""
        picture = annotate(rgb, detections, self.detector.spec.classes)
        if self.window is not None:
            self.window.show(picture)
        return picture

    def draw(self, path: Path, rgb: NDArray[np.uint8], output: Path) -> None:
        """Every detection on a line of its own, and all in a picture."""
        detections = self.detector.detect(rgb)
        save_image(self.annotated(rgb, detections), output)
        if self.options.json:
            print_json(detections, file=str(path))
            return
        print_detections(detections)
        print(f"{plural(len(detections), 'detection')} in {path}, drawn in {output}")


def detect_image(session: Session, output: Path) -> None:
    """One image, by default the first of calibration."""
    path = session.options.source or locate.calibration_images(session.detector.spec, None)[0]
    check_picture_path(output, [path])
    session.draw(path, load_rgb(path), output)


def detect_folder(session: Session, output: Path) -> None:
    """Every image of a folder. Raises `KitError` at the end for those that cannot be read."""
    folder = session.options.source
    paths = list_images(folder)
    if not paths:
        raise KitError(f"{folder}: holds no images")
    drawn = [output / drawn_name(path) for path in paths]
    if (lost := overwritten([output, *drawn], [folder, *paths])) is not None:
        raise KitError(f"--out {output}: {lost} is read from; choose another folder")
    if output.exists() and not output.is_dir():
        raise KitError(f"--out {output}: is a file; name a folder")
    unreadable = []
    start = time.perf_counter()
    for path, target in zip(paths, drawn):
        try:
            rgb = load_rgb(path)
        except KitError as error:
            session.tell(f"skipped: {error}")
            unreadable.append(path.name)
        else:
            session.draw(path, rgb, target)
    count = len(paths) - len(unreadable)
    rate = count / (time.perf_counter() - start)
    session.tell(f"{plural(count, 'image')}, {rate:.1f} frames a second")
    if unreadable:
        raise KitError(
            f"{folder}: {len(unreadable)} of {len(paths)} images cannot be read: "
            f"{', '.join(unreadable)}"
        )


def drawn_name(path: Path) -> str:
    """Of the picture drawn from `path`: a PNG where its format is not written, or not in full."""
    return path.name if path.suffix.lower() in _DRAWN_SUFFIXES else f"{path.name}.png"


def detect_video(session: Session, output: Path) -> None:
    """A video or camera: annotated frames with the rate, written as a video."""
    camera, json_lines = session.options.camera, session.options.json
    if camera is None and overwritten([output], [session.options.source]):
        raise KitError(f"--out {output}: is the input; choose another name")
    source = VideoSource(session.options.source if camera is None else camera)
    count, start = 0, time.perf_counter()
    with video_sink(output, source.fps) as sink:
        try:
            for rgb in source:
                detections = session.detector.detect(rgb)
                sink.write(np.asarray(session.annotated(rgb, detections)))
                count += 1
                rate = count / (time.perf_counter() - start)
                if json_lines:
                    print_json(detections, frame=count)
                else:
                    found = plural(len(detections), "detection")
                    print(
                        f"\rframe {count}: {found}, {rate:.1f} frames a second", end="", flush=True
                    )
                if count == session.options.frames or (
                    session.window and not session.window.is_open
                ):
                    break
        except KeyboardInterrupt:
            pass  # The user's way to end a camera; what was seen is kept.
    session.tell(f"\n{plural(count, 'frame')}, drawn in {output}")
    if not sink.plays_in_browsers:
        session.tell("note: this OpenCV has no H.264, so browsers do not play it; they play .webm")


def print_json(detections: Detections, **about: str | int) -> None:
    """A line that says of what it is, with the detections as `Detections.to_json` has them."""
    print(json.dumps({**about, "detections": json.loads(detections.to_json())}), flush=True)


def print_detections(detections: Detections) -> None:
    """Class, score and box in pixels of each detection."""
    for name, score, xyxy in zip(detections.class_name, detections.confidence, detections.xyxy):
        box = " ".join(f"{value:7.1f}" for value in xyxy)
        print(f"{name:<16} {score:.3f}  {box}")


if __name__ == "__main__":
    sys.exit(run(main))
