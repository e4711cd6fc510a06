"""`bash recipe.sh` or `./nanodet build`: checkpoint -> full-int8 TFLite file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data.names import (
    ROOT,
    add_model_options,
    naming_the_choice,
    parse_methods,
    parse_rewrites,
    parse_size,
)
from firmware.engine import DEFAULT, ENGINES
from pipeline.budget import BOARDS, PRESETS, parse_bytes
from pipeline.linux_budget import TARGETS as FOR_LINUX
from pipeline.recipe import Recipe
from quantize import METHODS
from quantize.scheme import FLOAT_FORMATS, QUANTIZATIONS
from quantize.targets import SWITCHABLE, TARGETS
from runtime.benchmark.board import BOARD_HELP, DEFAULT_BOARD, board_type, load
from runtime.cli import Parser, amount, positive, run


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, with its own `words`."""
    words = sys.argv[1:] if words is None else words
    parser = Parser(description=__doc__)
    parser.set_defaults(words=words)
    add_model_options(parser, "default nanodet-m-0.5x")
    add = parser.add_argument
    add(
        "--target",
        choices=TARGETS,
        help="which rewrites pay, strides by default (mcu the coarsest alone, the others all), and "
        "--quantization by default; default mcu, or what --board runs",
    )
    add(
        "--disable-rewrite",
        type=parse_rewrites,
        default=(),
        metavar="LIST",
        help=f"do without these, of {','.join(SWITCHABLE)}",
    )
    add(
        "--budget-arena",
        type=parse_bytes,
        metavar="BYTES",
        help="build the most accurate network whose arena fits, e.g. 512K",
    )
    add("--budget-flash", type=parse_bytes, metavar="BYTES", help="... and which fits in flash")
    add("--budget-ms", type=amount, metavar="MS", help="... and which takes no longer on --board")
    add("--preset", choices=PRESETS, help="a budget of time for those who have no number")
    add(
        "--engine",
        choices=ENGINES,
        default=DEFAULT,
        help="for which a budget holds; default %(default)s",
    )
    add(
        "--camera",
        type=parse_size,
        metavar="WxH",
        help="give the canvas this camera's shape, e.g. 640x480, where the network letterboxes",
    )
    known = board_type([*BOARDS, *map(load, FOR_LINUX)])
    add("--board", type=known, default=DEFAULT_BOARD, metavar="NAME", help=BOARD_HELP)
    add("--images", type=Path, metavar="PATH", help="your own calibration images, or a video")
    add(
        "--quantization-images",
        type=Path,
        metavar="DIR",
        help="learn rounding from all of these, 100 or more, rather than from those of calibration",
    )
    add(
        "--annotations",
        type=Path,
        metavar="JSON",
        help="COCO annotations of --evaluation-images, for the AP in the summary",
    )
    add("--evaluation-images", type=Path, metavar="DIR", help="images of --annotations")
    add("--stop-after", choices=("onnx",), help="make a float ONNX file and stop")
    add(
        "--onnx-layout",
        choices=("plain", "omz"),
        default="plain",
        help="omz: one output as in Open Model Zoo and OpenCV Zoo; default %(default)s, logits",
    )
    add(
        "--quantization",
        choices=QUANTIZATIONS,
        help="int8-per-tensor: one scale per layer's weights, the default of --target imx8mp-npu; "
        "int16x8: int16 activations; float16, dynamic: float inputs and outputs, for Linux; "
        "default int8",
    )
    add("--fast", action="store_true", help="plain min/max quantization: seconds, less accurate")
    add(
        "--max-drop",
        type=float,
        metavar="AP",
        help="quantize ever more carefully until no more than this is lost of the float network's "
        "AP, in percent, on the annotated images",
    )
    add(
        "--without",
        type=parse_methods,
        default=(),
        metavar="LIST",
        help=f"quantization methods to leave out, of {','.join(METHODS)}",
    )
    add(
        "--qat",
        type=Path,
        metavar="DIR",
        help="quantization-aware fine-tuning on these images, no labels needed, instead of "
        "reconstruct; with fewer strides than the network's or another --activation, first in "
        "float, which is experimental; what gains nothing is not published",
    )
    add(
        "--teacher",
        metavar="NAME",
        help="of models/, a network whose detections are learned in float, by default its own",
    )
    add("--qat-epochs", type=positive, default=2, help="rounds over them, default %(default)s")
    add("--no-report", action="store_true", help="write no report.html and no MODEL_CARD.md")
    add("--out", type=Path, default=ROOT, metavar="DIR", help="where to write, default here")
    options = parser.parse_args(words)
    if options.onnx_layout != "plain" and options.stop_after != "onnx":
        parser.error(f"--onnx-layout {options.onnx_layout} goes with --stop-after onnx")
    size = options.input_size or (0, 0)
    if options.camera is not None and (min(options.camera) < 1 or size[0] != size[1]):
        parser.error("--camera takes a size such as 640x480, and gives the canvas its shape; give "
                     "--input-size one number, its longer side")  # fmt: skip
    if options.qat is not None and (options.fast or options.stop_after):
        other = "--fast" if options.fast else "--stop-after"
        parser.error(f"--qat and {other} exclude each other; give one of the two")
    _check_learning(parser, options)
    chosen = options.fast or options.without or options.qat or options.quantization_images
    chosen = chosen or options.quantization not in (None, "int8")
    if options.max_drop is not None and (chosen or options.stop_after):
        parser.error("--max-drop chooses how to quantize; leave out --quantization, --fast, "
                     "--without, --qat, --quantization-images and --stop-after")  # fmt: skip
    options.target = options.target or FOR_LINUX.get(options.board, "mcu")
    options.quantization = options.quantization or TARGETS[options.target].quantization
    if options.quantization in FLOAT_FORMATS and (options.qat or options.fast or options.without):
        parser.error(
            f"--quantization {options.quantization} is TensorFlow's own; leave out --qat, --fast "
            "and --without"
        )
    return options


def _check_learning(parser: Parser, options: argparse.Namespace) -> None:
    """What does not go with the options that bring pictures to learn from."""
    if options.teacher is not None and options.qat is None:
        parser.error("--teacher goes with --qat")
    other = options.fast or options.qat or "reconstruct" in options.without
    if options.quantization_images and (other or options.quantization in FLOAT_FORMATS):
        parser.error(
            "--quantization-images are for reconstruct; leave out --fast, --qat, --without "
            "reconstruct, and float formats"
        )


def main(words: Sequence[str] | None = None) -> int:
    """Build."""
    options = parse_arguments(words)
    recipe = Recipe(options)
    with naming_the_choice(options):
        if options.stop_after == "onnx":
            recipe.run_onnx(options.onnx_layout)
        else:
            recipe.run()
    return 0


if __name__ == "__main__":
    Parser.program = "recipe.sh"
    sys.exit(run(main))
