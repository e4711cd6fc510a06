from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from convert import onnx_export, tensorflow_export
from convert.checkpoint import load_network
from convert.engines import by_name
from convert.lowering import lower
from convert.network import NanoDet
from quantize import equalize, float_file
from quantize.float_graph import FloatGraph
from quantize.learn import Numbers
from quantize.methods import Quantized, quantize
from quantize.simulate import run
from runtime.spec import ModelSpec, as_trained
from tests.conftest import Build, calibration, deviation, photo
from tests.random_network import random_network
from train.judge import Jury
from train.qat import FineTuning, Lesson, _Keys, graph_input, upright


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{i:02d}.png" for i in range(24)]
    for i, path in enumerate(paths):
        Image.fromarray(photo(50 + i, 110, 90)).save(path)
    return paths


def test_graph_and_network_see_and_say_the_same(build: Build) -> None:
    """But for the grey border of raw pixels."""
    network = load_network(build.checkpoint, as_trained(build.spec)).network
    pixels = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    pixels = torch.nn.functional.interpolate(pixels, (64, 96), mode="bilinear")
    with torch.no_grad():
        wanted = by_name(network(pixels), build.spec)
        graph = FloatGraph.parse(build.float_model)
        found = upright(run(graph, graph_input(pixels, build.spec)), build.spec)
    assert sorted(found) == sorted(wanted)
    for name, values in found.items():
        assert unlike(values, wanted[name]) < 0.35, name
        assert unlike(values.flip(2, 3), wanted[name]) > 1, "the measure tells"


def unlike(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """`deviation` of what varies over the picture."""
    mean = wanted.mean((2, 3), keepdim=True)
    return deviation((found - mean).numpy(), (wanted - mean).numpy())


def in_favour(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge who likes each epoch better: random networks find nothing to judge by. Ranges are
    sought in haste."""
    monkeypatch.setattr(equalize, "_ITERATIONS", 50)
    judge = itertools.count().__next__
    monkeypatch.setattr(Jury, "of", lambda *_: lambda *_: float(judge()))


def tuned(
    model: bytes, spec: ModelSpec, network: NanoDet, paths: list[Path], epochs: int = 16
) -> Quantized:
    judged, learned = paths[:2], paths[2:]
    tuning = FineTuning(network, as_trained(spec), spec, Lesson(learned, judged, epochs))
    return quantize(
        FloatGraph.parse(model), spec, calibration(spec), ("ranges",), fine_tuning=tuning
    )


def test_all_strides(build: Build, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """int8 comes nearer to float; nothing is trained in float; twice gives the same."""
    in_favour(monkeypatch)
    network = load_network(build.checkpoint, as_trained(build.spec)).network
    quantized = tuned(build.float_model, build.spec, network, pictures)
    first, last = cast(tuple[float, float], quantized.notes["loss"])
    assert last < first
    assert quantized.notes["float_loss"] is None
    one, again = (
        tuned(build.float_model, build.spec, network, pictures[:10], epochs=2) for _ in range(2)
    )
    assert one.ranges == again.ranges != quantized.ranges


def swapped(spec: ModelSpec) -> ModelSpec:
    """With ReLU6 everywhere."""
    parts: dict[str, Any] = {f"{part}_activation": "relu6" for part in ("backbone", "neck", "head")}
    architecture = dataclasses.replace(spec.architecture, **parts)
    return dataclasses.replace(spec, architecture=architecture)


@pytest.mark.full(reason="further fine-tunings")
@pytest.mark.parametrize(
    ("relu6", "strides", "learner"),
    [
        pytest.param(False, (16, 32), "detections", id="fewer strides"),
        pytest.param(True, (8, 16, 32), "answers", id="another activation"),
        pytest.param(True, (16, 32), "detections", id="both"),
    ],
)
def test_in_float(
    tiny: ModelSpec,
    canvas: np.ndarray,
    pictures: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    relu6: bool,
    strides: tuple[int, ...],
    learner: str,
) -> None:
    """The float phase learns to find what the network finds as it was trained."""
    in_favour(monkeypatch)
    spec = tiny.with_strides(strides).with_classes(("person", "car", "dog"))
    origin, spec = spec, swapped(spec) if relu6 else spec
    network, own = random_network(tiny), NanoDet(spec).eval()
    own.load_state_dict(network.state_dict())
    lowered, _ = lower(own, spec, canvas)
    onnx_export.export(lowered, tmp_path / "model.onnx")
    tensorflow_export.export(tmp_path / "model.onnx", tmp_path / "saved_model", canvas)
    graph = FloatGraph.parse(float_file.convert(tmp_path / "saved_model"))
    lesson = Lesson(pictures[2:], pictures[:2], 16)
    tuning = FineTuning(network, origin, lowered.spec, lesson)
    quantized = quantize(graph, lowered.spec, calibration(spec), ("ranges",), fine_tuning=tuning)
    first, last = cast(tuple[float, float], quantized.notes["float_loss"])
    assert last < 0.9 * first, learner


def test_batches_show_every_picture_once_an_epoch() -> None:
    """And from any iteration on they are the same."""
    whole = list(itertools.islice(_Keys(21, 0), 6))
    for epoch in range(3):
        seen = [key for batch in whole[2 * epoch : 2 * epoch + 2] for key in batch]
        assert len(set(seen)) == 16 and {key[0] for key in seen} == {epoch}
    assert whole[0] != whole[2]
    for first in range(6):
        assert list(itertools.islice(_Keys(21, first), 6 - first)) == whole[first:]


def test_the_jury_knows_the_network_itself(build: Build, pictures: list[Path]) -> None:
    """The graph as built agrees with its network nearly wholly, with other weights hardly."""
    network = load_network(build.checkpoint, as_trained(build.spec)).network
    with torch.no_grad():  # So that a random network finds something.
        for last in network.head.gfl_cls:
            last.get_parameter("bias").add_(4.0)
    graph = FloatGraph.parse(build.float_model)
    names = [graph.outputs[f"cls_{s}"] for s in build.spec.graph.strides]
    for op in graph.convolutions:
        if op.outputs[0] in names and op.layer is not None:
            graph.biases[op.layer] = graph.biases[op.layer] + 4.0
    jury = Jury(network, as_trained(build.spec), pictures[:4])
    judge = jury.of(graph, build.spec)
    same = judge(Numbers(graph.weights, graph.biases, None))
    other = judge(Numbers([w.flip(0) for w in graph.weights], graph.biases, None))
    assert same > 50 > other or (np.isnan(same) and np.isnan(other))
