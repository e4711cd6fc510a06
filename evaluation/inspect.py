"""`./nanodet inspect MODEL.tflite`: where an int8 model loses accuracy."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from evaluation.figures import plot_path, save
from runtime.cli import Parser, positive
from runtime.errors import KitError
from runtime.files import write_text
from runtime.spec import ModelSpec

if TYPE_CHECKING:
    from quantize.float_graph import FloatGraph

_IMAGES = 4
_SHOWN = 12
_AP_IMAGES = 50
_NAMED = 8


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="an int8 .tflite of this kit")
    add("--images", type=Path, metavar="DIR", help="photographs, default those of calibration")
    add("--limit", type=positive, default=_IMAGES, help="so many of them, default %(default)s")
    add("--top", type=positive, default=_SHOWN, help="tensors to list, default %(default)s")
    add("--json", type=Path, metavar="OUT", help="write all tensors here")
    add("--plot", type=plot_path, metavar="OUT", help="draw all tensors here, .svg or .png")
    add("--ap", type=positive, metavar="N", help="AP with each of the N worst back in float")
    add("--ap-images", type=positive, default=_AP_IMAGES, help="for --ap, default %(default)s")
    add("--evaluation-images", type=Path, metavar="DIR", help="for --ap; with --annotations")
    add("--annotations", type=Path, metavar="JSON")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = parse_arguments(words)
    from quantize import sensitivity
    from quantize.float_graph import FloatGraph
    from runtime.engines.base import check_input
    from runtime.tflite_file import TfliteFile

    file = TfliteFile.read(options.model)
    if file.input.dtype != "INT8":
        raise KitError(f"{file.path}: inputs are {file.input.dtype}; only int8 files are inspected")
    check_input(file)
    graph = FloatGraph.parse(file.content)
    images = _images(options, file.spec)
    with tqdm(desc="tensors", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        reports = sensitivity.measure(graph, images, file.spec.num_bins, show)
    print(f"{file.path}: {len(reports)} tensors are rounded; those that cost most:")
    _print(reports, sensitivity.worst(reports, options.top))
    if options.ap is not None:
        _print_ap(options, graph, file.spec, sensitivity.worst(reports, options.ap))
    if options.json is not None:
        write_text(options.json, json.dumps([dataclasses.asdict(r) for r in reports], indent=1))
    if options.plot is not None:
        _plot(reports, options.plot)
    return 0


def _images(options: argparse.Namespace, spec: ModelSpec) -> Any:
    import torch

    from calibration import canvases
    from convert.engines import input_tensor
    from data import locate

    paths = locate.calibration_images(spec, options.images)[: options.limit]
    return torch.cat([input_tensor(canvas, spec) for canvas in canvases(paths, spec.input)])


def _print(reports: Sequence[Any], worst: Sequence[Any]) -> None:
    total = sum(r.cost for r in reports)
    print(
        f"{'share':>6} {'use':>5} {'clip':>6} {'own dB':>7} {'all dB':>7}  operator, shape, range"
    )
    for r in worst:
        shape = "x".join(str(n) for n in r.shape_nhwc[1:])
        print(
            f"{r.cost / total:6.1%} {r.used:5.0%} {r.saturated:6.2%} {r.noise_db:7.1f} "
            f"{r.total_db:7.1f}  {shape} [{r.low:.3g}, {r.high:.3g}] {r.name}"
        )


def _print_ap(
    options: argparse.Namespace, graph: FloatGraph, spec: ModelSpec, worst: Sequence[Any]
) -> None:
    """AP of the int8 network as simulated, then with one tensor in float at a time."""
    from data import locate
    from evaluation import CocoSet, ap_detector, detect_all, score
    from quantize.sensitivity import SimulatedEngine

    found = locate.evaluation_set(
        spec, options.evaluation_images, options.annotations, options.ap_images
    )
    assert found is not None
    images = CocoSet.load(*found, spec.classes, options.ap_images)

    def ap(in_float: str | None) -> float:
        detector = ap_detector(SimulatedEngine(graph, spec, in_float))
        return score(images, detect_all(detector, images), spec.classes).figures["AP"]

    whole = ap(None)
    print(f"AP on {len(images.image_ids)} images: {whole:.2f}; with one tensor in float:")
    for r in worst:
        one = ap(r.name)
        print(f"{one:6.2f} {one - whole:+6.2f}  {r.name}")


def _plot(reports: Sequence[Any], path: Path) -> None:
    """Signal to noise along the network, and what each tensor's rounding costs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    places = range(len(reports))
    upper.plot(places, [r.noise_db for r in reports], ".", label="of its own rounding")
    upper.plot(places, [r.total_db for r in reports], "-", label="with all before it rounded")
    upper.set_ylabel("signal to noise, dB")
    upper.legend()
    total = sum(r.cost for r in reports)
    lower.bar(places, [100 * r.cost / total for r in reports])
    lower.set_ylabel("share of the cost, %")
    for place in sorted(places, key=lambda i: -reports[i].cost)[:_NAMED]:
        height = 100 * reports[place].cost / total
        lower.annotate(reports[place].name, (place, height), fontsize=7, rotation=20)
    lower.set_xlabel("tensor, in the network's order")
    save(figure, path)
