"""`python -m quantize.inspect MODEL.tflite`: where an int8 model loses accuracy."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from runtime.cli import Parser, positive, run
from runtime.errors import KitError
from runtime.files import write_text

_IMAGES = 4
_SHOWN = 12


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m quantize.inspect", description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="an int8 .tflite of this kit")
    add("--images", type=Path, metavar="DIR", help="photographs, default those of calibration")
    add("--limit", type=positive, default=_IMAGES, help="so many of them, default %(default)s")
    add("--top", type=positive, default=_SHOWN, help="tensors to list, default %(default)s")
    add("--json", type=Path, metavar="OUT", help="write all tensors here")
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    options = parse_arguments()
    import torch

    import assets
    from calibration import canvases
    from quantize.graph import Graph
    from quantize.sensitivity import TensorReport, measure, worst
    from runtime.engines.base import check_input
    from runtime.preprocess import float_input
    from runtime.tflite_file import TfliteFile

    file = TfliteFile.read(options.model)
    if file.input.dtype != "INT8":
        raise KitError(f"{file.path}: inputs are {file.input.dtype}; only int8 files are inspected")
    check_input(file)
    paths = assets.calibration_images(file.spec, options.images)[: options.limit]
    pixels = [float_input(canvas, file.spec) for canvas in canvases(paths, file.spec.input)]
    images = torch.cat([torch.from_numpy(p).permute(0, 3, 1, 2) for p in pixels])
    with tqdm(desc="tensors", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        reports: Sequence[TensorReport] = measure(
            Graph.parse(file.content), images, file.spec.num_bins, show
        )
    total = sum(r.cost for r in reports)
    print(f"{file.path}: {len(reports)} tensors are rounded; those that cost most:")
    print(
        f"{'share':>6} {'use':>5} {'clip':>6} {'own dB':>7} {'all dB':>7}  operator, shape, range"
    )
    for r in worst(reports, options.top):
        shape = "x".join(str(n) for n in r.shape_nhwc[1:])
        print(
            f"{r.cost / total:6.1%} {r.used:5.0%} {r.saturated:6.2%} {r.noise_db:7.1f} "
            f"{r.total_db:7.1f}  {r.operator} {shape} [{r.low:.3g}, {r.high:.3g}] {r.name[-40:]}"
        )
    if options.json is not None:
        write_text(options.json, json.dumps([dataclasses.asdict(r) for r in reports], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
