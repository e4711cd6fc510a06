"""`./nanodet waterfall MODEL.tflite`: where AP goes between checkpoint and device.

Evaluates the float network with all strides, with those of the file, the rewritten network, and
the quantized file in LiteRT and in TFLite Micro, on any COCO-format set. Each change comes with its
standard error: how far it would move on other photographs of the kind.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.annotations import Results
from evaluation.bootstrap import resampled, standard_error
from evaluation.coco import CocoSet, Scores, ap_detector, detect_all, score
from evaluation.figures import plot_path, save
from runtime.cli import Parser, positive
from runtime.engines import Engine, LiteRtEngine, TflmEngine
from runtime.errors import KitError
from runtime.files import write_text
from runtime.spec import ModelSpec, as_trained
from runtime.tflite_file import TfliteFile


@dataclass(frozen=True)
class Step:
    """What was evaluated, in words and by its engine's name, what it finds and scores."""

    name: str
    engine: str
    results: Results
    scores: Scores

    @property
    def ap(self) -> float:
        """In percent."""
        return self.scores.figures["AP"]


@dataclass(frozen=True)
class Bar:
    """A step to be drawn: AP in percent, and the standard error of its change from the last."""

    name: str
    ap: float
    standard_error: float | None = None


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a quantized .tflite of this kit")
    add("--weights", type=Path, metavar="PATH", help="its checkpoint, default the official one")
    add("--onnx", type=Path, metavar="PATH", help="default build/<model>/model.onnx beside it")
    add("--images", type=Path, metavar="DIR")
    add("--annotations", type=Path, metavar="JSON")
    add("--limit", type=positive, help="the first so many images")
    add("--json", type=Path, metavar="OUT", help="write the figures here")
    add("--plot", type=plot_path, metavar="OUT", help="draw them here, .svg or .png")
    return parser.parse_args(words)


def engines(
    file: TfliteFile, weights: Path, onnx: Path, micro: bool = True, kind: str = ""
) -> Iterator[tuple[str, Engine]]:
    """The steps, in order.

    onnx: the float network that `file` was made from. micro: end with TFLite Micro, if it can.
    kind: what the file's numbers are called, by default as the type of its input.
    """
    from convert.checkpoint import load_network
    from convert.engines import OnnxEngine, TorchEngine

    kind = kind or file.input.dtype.lower()
    cut = as_trained(file.spec)
    whole = cut.with_strides(cut.architecture.strides)
    network = load_network(weights, cut).network
    yield f"float, strides {_listed(whole)}", TorchEngine(network, whole)
    if whole.graph.strides != cut.graph.strides:
        yield f"strides {_listed(cut)}", TorchEngine(network, cut)
    yield "rewrites", OnnxEngine(onnx)
    yield f"{kind}, LiteRT", LiteRtEngine(file)
    if micro and file.input.dtype != "FLOAT32":
        yield f"{kind}, TFLite Micro", TflmEngine(file)


def evaluate(
    engines: Iterable[tuple[str, Engine]], images: CocoSet, progress: bool = True
) -> Iterator[Step]:
    """Score one after the other."""
    for name, engine in engines:
        results = detect_all(ap_detector(engine), images, progress)
        yield Step(name, engine.name, results, score(images, results, engine.spec.classes))


def _listed(spec: ModelSpec) -> str:
    return ",".join(str(stride) for stride in spec.graph.strides)


def measure(options: argparse.Namespace) -> list[Bar]:
    """Scores at each step; prints a line each."""
    from data import locate

    file = TfliteFile.read(options.model)
    weights, onnx = locate.weights(file.spec, options.weights), _lowered(options, file)
    found = locate.evaluation_set(file.spec, options.images, options.annotations, options.limit)
    assert found is not None
    images = CocoSet.load(*found, file.spec.classes, options.limit)
    bars: list[Bar] = []
    before: NDArray[np.float64] | None = None
    for step in evaluate(engines(file, weights, onnx), images):
        draws = resampled(images, step.results)
        error = None if before is None else standard_error(before, draws)[0]
        bars.append(Bar(step.name, step.ap, error))
        change = _change(bars) if before is not None else ""
        print(f"{step.ap:6.2f}  {change:15}  {step.name}", flush=True)
        before = draws
    return bars


def _change(bars: Sequence[Bar]) -> str:
    """Of the last bar, with its standard error."""
    return f"{bars[-1].ap - bars[-2].ap:+.2f} \N{PLUS-MINUS SIGN} {bars[-1].standard_error:.2f}"


def _lowered(options: argparse.Namespace, file: TfliteFile) -> Path:
    from convert.engines import OnnxEngine

    path: Path = options.onnx or options.model.parent / "build" / options.model.stem / "model.onnx"
    if not path.is_file():
        raise KitError(f"{path}: no such file; name the build's model.onnx with --onnx")
    made_from = attrgetter("name", "graph.strides", "classes")
    if made_from(OnnxEngine(path).spec) != made_from(file.spec):
        raise KitError(f"{path}: is not what {options.model} was made from; choose with --onnx")
    return path


def plot(bars: Sequence[Bar], title: str, path: Path) -> None:
    """The whole at first, what each step takes or gives after it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.5 * len(bars) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, bar in enumerate(bars):
        before = bars[place - 1].ap if place else 0.0
        colour = "tab:blue" if not place else "tab:green" if bar.ap >= before else "tab:red"
        left, width = (0.0, bar.ap) if not place else (min(bar.ap, before), abs(bar.ap - before))
        axes.barh(place, width, left=left, color=colour)
        text = f"{bar.ap:.2f} ({_change(bars[: place + 1])})" if place else f"{bar.ap:.2f}"
        axes.annotate(text, (max(bar.ap, before), place), (4, -3), textcoords="offset points")
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.4 * max(bar.ap for bar in bars))
    axes.set_xlabel("AP, %")
    axes.set_title(title)
    save(figure, path)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write, draw."""
    options = parse_arguments(words)
    bars = measure(options)
    if options.json is not None:
        content = []
        for bar in bars:
            error = bar.standard_error and round(bar.standard_error, 4)
            content.append({"step": bar.name, "AP": round(bar.ap, 4), "standard_error": error})
        write_text(options.json, json.dumps(content, indent=1) + "\n")
    if options.plot is not None:
        plot(bars, f"Where AP goes: {options.model.name}", options.plot)
    return 0
