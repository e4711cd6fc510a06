from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from convert import onnx_export, tensorflow_export
from convert.checkpoint import load_network
from convert.engines import by_name
from convert.lowering import lower
from convert.network import NanoDet
from quantize import float_file
from quantize.float_graph import FloatGraph
from quantize.methods import Quantized, quantize
from quantize.simulate import run
from runtime.spec import ModelSpec, as_trained
from tests.conftest import Build, calibration, deviation, photo
from tests.random_network import random_network
from train.qat import FineTuning, graph_input, upright


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


def tuned(
    model: bytes, spec: ModelSpec, network: NanoDet, paths: list[Path], epochs: int = 16
) -> Quantized:
    tuning = FineTuning(network, spec, paths, epochs=epochs)
    return quantize(
        FloatGraph.parse(model), spec, calibration(spec), ("ranges",), fine_tuning=tuning
    )


def test_all_strides(build: Build, pictures: list[Path]) -> None:
    """int8 comes nearer to float; nothing is trained in float; twice gives the same."""
    network = load_network(build.checkpoint, as_trained(build.spec)).network
    quantized = tuned(build.float_model, build.spec, network, pictures)
    first, last = cast(tuple[float, float], quantized.notes["loss"])
    assert last < 0.97 * first
    assert quantized.notes["float_loss"] is None
    one, again = (
        tuned(build.float_model, build.spec, network, pictures[:8], epochs=2) for _ in range(2)
    )
    assert one.ranges == again.ranges != quantized.ranges


@pytest.mark.full(reason="a second fine-tuning")
def test_fewer_strides(
    tiny: ModelSpec, canvas: np.ndarray, pictures: list[Path], tmp_path: Path
) -> None:
    """The float phase learns to find what the network finds with all its strides."""
    spec = tiny.with_strides((16, 32)).with_classes(("person", "car", "dog"))
    network = random_network(tiny)
    lowered, _ = lower(network, spec, canvas)
    onnx_export.export(lowered, tmp_path / "model.onnx")
    tensorflow_export.export(tmp_path / "model.onnx", tmp_path / "saved_model", canvas)
    model = float_file.convert(tmp_path / "saved_model")
    quantized = tuned(model, lowered.spec, network, pictures)
    first, last = cast(tuple[float, float], quantized.notes["float_loss"])
    assert last < 0.9 * first
