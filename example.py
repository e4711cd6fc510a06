"""Detects objects in a picture: `python example.py [IMAGE] --model nanodet_m_0.5x.tflite`."""

from __future__ import annotations

import environment

environment.enter()

import argparse
import sys
from pathlib import Path

import assets
from pipeline.names import DEFAULT_MODEL, ROOT, tflite_path, variant
from runtime.cli import Parser, fraction, run
from runtime.detector import Detector
from runtime.draw import annotate, save_image
from runtime.errors import KitError
from runtime.image import load_rgb


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add(
        "image",
        nargs="?",
        type=Path,
        metavar="IMAGE",
        help="default: the first calibration photograph",
    )
    add(
        "--model",
        type=Path,
        default=tflite_path(variant(DEFAULT_MODEL, None), ROOT),
        help="a .tflite of this kit; default: what recipe.sh builds",
    )
    add("--engine", choices=("litert", "tflm"), default="litert", help="default %(default)s")
    add("--score-threshold", type=fraction, default=0.35, help="default %(default)s")
    add("--output", type=Path, default=Path("result.jpg"), help="default %(default)s")
    return parser.parse_args()


def main() -> int:
    """Detect, print, draw."""
    options = parse_arguments()
    if not options.model.is_file():
        raise KitError(f"--model {options.model}: no such file; build it with: bash recipe.sh")
    detector = Detector(options.model, options.engine, options.score_threshold)
    path = options.image or assets.calibration_images(None)[0]
    rgb = load_rgb(path)
    detections = detector.detect(rgb)
    names = detector.spec.class_names
    for xyxy, confidence, class_id in zip(
        detections.xyxy, detections.confidence, detections.class_id
    ):
        box = " ".join(f"{value:7.1f}" for value in xyxy)
        print(f"{names[class_id]:<16} {confidence:.3f}  {box}")
    save_image(annotate(rgb, detections, names), options.output)
    print(f"{len(detections)} detections in {path}, drawn in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
