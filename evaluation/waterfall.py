"""`python -m evaluation.waterfall MODEL.tflite`: where AP goes between checkpoint and device.

Evaluates the float network with all strides, with those of the file, the rewritten network, and
the quantized file in LiteRT and in TFLite Micro, on any COCO-format set.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.coco import CocoSet, Scores, detect_all, score
from evaluation.figures import plot_path, save
from runtime.cli import Parser, positive, run
from runtime.detector import Detector
from runtime.engines import Engine, LiteRtEngine, TflmEngine
from runtime.errors import KitError
from runtime.files import write_text
from runtime.spec import ModelSpec, as_trained
from runtime.tflite_file import TfliteFile


@dataclass(frozen=True)
class Step:
    """What was evaluated, in words and by its engine's name, and what it scores."""

    name: str
    engine: str
    scores: Scores

    @property
    def ap(self) -> float:
        """In percent."""
        return self.scores.figures["AP"]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m evaluation.waterfall", description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a quantized .tflite of this kit")
    add("--weights", type=Path, metavar="PATH", help="its checkpoint, default the official one")
    add("--onnx", type=Path, metavar="PATH", help="default build/<model>/model.onnx beside it")
    add("--images", type=Path, metavar="DIR")
    add("--annotations", type=Path, metavar="JSON")
    add("--limit", type=positive, help="the first so many images")
    add("--json", type=Path, metavar="OUT", help="write the figures here")
    add("--plot", type=plot_path, metavar="OUT", help="draw them here, .svg or .png")
    return parser.parse_args()


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
        results = detect_all(Detector(engine), images, progress)
        yield Step(name, engine.name, score(images, results, engine.spec.classes))


def _listed(spec: ModelSpec) -> str:
    return ",".join(str(stride) for stride in spec.graph.strides)


def measure(options: argparse.Namespace) -> list[Step]:
    """Scores at each step; prints a line each."""
    import assets

    file = TfliteFile.read(options.model)
    weights, onnx = assets.weights(file.spec, options.weights), _lowered(options, file)
    found = assets.evaluation_set(file.spec, options.images, options.annotations, options.limit)
    assert found is not None
    images = CocoSet.load(*found, file.spec.classes, options.limit)
    steps: list[Step] = []
    for step in evaluate(engines(file, weights, onnx), images):
        change = f"  {step.ap - steps[-1].ap:+.2f}" if steps else ""
        print(f"{step.ap:6.2f}{change:8}  {step.name}", flush=True)
        steps.append(step)
    return steps


def _lowered(options: argparse.Namespace, file: TfliteFile) -> Path:
    from convert.engines import OnnxEngine

    path: Path = options.onnx or options.model.parent / "build" / options.model.stem / "model.onnx"
    if not path.is_file():
        raise KitError(f"{path}: no such file; name the build's model.onnx with --onnx")
    spec = OnnxEngine(path).spec
    if (spec.name, spec.graph.strides, spec.classes) != (
        file.spec.name,
        file.spec.graph.strides,
        file.spec.classes,
    ):
        raise KitError(f"{path}: is not what {options.model} was made from; choose with --onnx")
    return path


def plot(steps: Sequence[tuple[str, float]], title: str, path: Path) -> None:
    """Bars: the whole at first and last, what each step takes or gives between.

    steps: name and AP in percent.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.5 * len(steps) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, (_, ap) in enumerate(steps):
        before = steps[place - 1][1] if place else 0.0
        colour = "tab:blue" if not place else "tab:green" if ap >= before else "tab:red"
        left, width = (0.0, ap) if not place else (min(ap, before), abs(ap - before))
        axes.barh(place, width, left=left, color=colour)
        change = f"{ap:.2f}" if not place else f"{ap:.2f} ({ap - before:+.2f})"
        axes.annotate(change, (max(ap, before), place), (4, -3), textcoords="offset points")
    axes.set_yticks(range(len(steps)), [name for name, _ in steps])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(ap for _, ap in steps))
    axes.set_xlabel("AP, %")
    axes.set_title(title)
    save(figure, path)


def main() -> int:
    """Measure, print, write, draw."""
    options = parse_arguments()
    steps = measure(options)
    if options.json is not None:
        content = [{"step": step.name, "AP": round(step.ap, 4)} for step in steps]
        write_text(options.json, json.dumps(content, indent=1) + "\n")
    if options.plot is not None:
        plot([(s.name, s.ap) for s in steps], f"Where AP goes: {options.model.name}", options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
