"""`python -m tools.pictures`: draws docs/pictures/ for docs/how-it-works.md.

One picture a stage, of a generated scene and the embedded demo with all strides, which is built in
build/pictures first.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import torch
from matplotlib.figure import Figure

import calibration
from benchmarks.builds import build, choice, python
from convert.engines import input_tensor
from data import locate
from data.names import EMBEDDED_MODEL, ROOT, onnx_path, tflite_path, variant, work_folder
from data.shapes.scene import make_scene
from evaluation.figures import save
from quantize import float_file
from quantize.float_graph import FloatGraph
from quantize.statistics import extremes
from runtime import Detector
from runtime.draw import annotate
from runtime.engines import LiteRtEngine
from runtime.engines.base import dequantize
from runtime.preprocess import to_canvas
from runtime.tflite_file import TfliteFile

FOLDER = ROOT / "docs" / "pictures"
_BUILD = ROOT / "build" / "pictures"
_SCENE, _WIDTH, _HEIGHT = 24, 480, 320
_STRIDES = (8, 16, 32)
_IMAGES = 20
_DARK, _LIGHT = "#1f4e79", "#e08214"


def image_on_canvas(rgb: np.ndarray, canvas: np.ndarray) -> Figure:
    """The image as it comes, and as the network takes it; both RGB."""
    figure = Figure((7, 2.8), layout="constrained")
    for axes, picture, name in zip(
        figure.subplots(1, 2, width_ratios=(3, 2)), (rgb, canvas), ("image", "canvas"), strict=True
    ):
        axes.imshow(picture)
        axes.set_title(f"{name}, {picture.shape[1]} x {picture.shape[0]}")
        axes.set_axis_off()
    return figure


def contact_sheet(canvases: list[np.ndarray]) -> Figure:
    """Some of the calibration images."""
    figure = Figure((7, 1.6), layout="constrained")
    for axes, canvas in zip(figure.subplots(2, len(canvases) // 2).flat, canvases, strict=True):
        axes.imshow(canvas)
        axes.set_axis_off()
    return figure


def operators(plain: Path, lowered: Path) -> Figure:
    """How often each operator occurs in the network as trained and as rewritten."""
    counts = [Counter(n.op_type for n in onnx.load(path).graph.node) for path in (plain, lowered)]
    kinds = sorted(counts[0].keys() | counts[1].keys(), key=lambda k: counts[0][k] + counts[1][k])
    figure = Figure((7, 3.6), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(kinds))
    for offset, count, colour, name in (
        (0.2, counts[0], _LIGHT, "as trained"),
        (-0.2, counts[1], _DARK, "rewritten"),
    ):
        axes.barh(place + offset, [count[k] for k in kinds], 0.4, color=colour, label=name)
    axes.set_yticks(place, kinds)
    axes.set_xlabel("operators")
    axes.legend(loc="lower right")
    return figure


def channel_ranges(before: FloatGraph, after: FloatGraph, images: list[torch.Tensor]) -> Figure:
    """The tensor whose channels equalization helps most: what each uses of its int8 range."""
    shares = []
    for graph in (before, after):
        seen = extremes(graph, images, lambda done, total: None)
        shares.append([_share(*seen[tensor]) for tensor in graph.rounded])
    gains = [float(new.median() / old.median()) for old, new in zip(*shares, strict=True)]
    best = gains.index(max(gains))
    figure = Figure((7, 2.6), layout="constrained")
    for axes, share, title in zip(
        figure.subplots(1, 2, sharey=True),
        (shares[0][best], shares[1][best]),
        ("min/max", "equalized"),
        strict=True,
    ):
        axes.bar(np.arange(len(share)), share.numpy(), 1.0, color=_DARK)
        axes.set(title=title, xlabel="channel", ylim=(0, 1))
    figure.axes[0].set_ylabel("share of the tensor's range")
    return figure


def _share(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    width = high - low
    return width / width.max()


def scores(file: TfliteFile, canvas: np.ndarray) -> Figure:
    """The best score of each cell, from the int8 outputs, stride by stride."""
    raw = LiteRtEngine(file).infer_raw(canvas)
    figure = Figure((7, 2.6), layout="constrained")
    for axes, stride in zip(figure.subplots(1, len(_STRIDES)), _STRIDES, strict=True):
        tensor = next(t for t in file.outputs if t.name == f"cls_{stride}")
        best = 1 / (1 + np.exp(-dequantize(raw[tensor.name], tensor).max(-1)))
        shown = axes.imshow(best, cmap="cividis", vmin=0, vmax=1)
        axes.set_title(f"stride {stride}, {best.shape[1]} x {best.shape[0]}")
        axes.set_axis_off()
    figure.colorbar(shown, ax=figure.axes, label="score")
    return figure


def detections(rgb: np.ndarray, file: Path) -> Figure:
    """The image with what was found."""
    found = Detector(file).detect(rgb)
    figure = Figure((7, 4.7), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.asarray(annotate(rgb, found, found.class_names)))
    axes.set_axis_off()
    return figure


def main() -> None:
    """Build, draw."""
    spec = variant(EMBEDDED_MODEL, _STRIDES)
    build(spec, "--target", "linux", out=_BUILD)
    python("-m", "pipeline", *choice(spec), "--stop-after", "onnx", "--out", str(_BUILD))
    file = TfliteFile.read(tflite_path(spec, _BUILD))
    work = work_folder(spec, _BUILD)
    rgb = make_scene(_SCENE, _WIDTH, _HEIGHT).rgb
    canvas, _ = to_canvas(rgb, file.spec.input)
    paths = locate.calibration_images(spec, None)[:_IMAGES]
    canvases = list(calibration.canvases(paths, file.spec.input))
    images = [input_tensor(c, file.spec) for c in canvases]
    before = FloatGraph.parse(float_file.convert(work / "saved_model"))
    figures = {
        "image.jpg": image_on_canvas(rgb, canvas[..., ::-1]),
        "calibration.jpg": contact_sheet([c[..., ::-1] for c in canvases]),
        "convert.svg": operators(onnx_path(spec, _BUILD, "plain"), work / "model.onnx"),
        "quantize.svg": channel_ranges(before, FloatGraph.parse(file.content), images),
        "scores.png": scores(file, canvas),
        "detections.jpg": detections(rgb, tflite_path(spec, _BUILD)),
    }
    for name, figure in figures.items():
        save(figure, FOLDER / name)


if __name__ == "__main__":
    main()
