"""Whole networks with random weights, built as the recipe builds them, against TensorFlow Lite
Micro: every variant of models/, sizes for microcontrollers, the other activations and backbones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data import locate
from firmware.engine import proof
from firmware.engine.emit import emit
from firmware.engine.file import plan_of
from runtime.preprocess import int8_input, to_canvas
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile
from tests.conftest import ROOT, Converted, photo, small
from tests.convert.test_backbones import small_spec, spec_of
from tests.firmware.engine.cores import HOST, program
from tests.firmware.engine.test_network import compare

_VARIANTS = sorted(path.stem for path in (ROOT / "models").glob("nanodet-*.yaml"))
_SIZES = [(128, 128), (224, 224), (256, 256), (320, 256)]
_BACKBONES = "repvgg_a0", "efficientnet_lite0", "mobilenet_v2", "ghostnet", "custom_csp"
_FULL = pytest.mark.full(reason="a minute a network")


def exact(spec: ModelSpec, converted: Converted, folder: Path) -> None:
    """Two photographs and noise give what TensorFlow Lite Micro gives; the plan is proved."""
    file = TfliteFile.read(converted(spec).tflite)
    plan = plan_of(file)
    proof.check(plan)
    (folder / "network.c").write_text(emit(plan))
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    pictures = photo(1, 130, 90), photo(2, 90, 130), noise
    canvases = [to_canvas(picture, file.spec.input)[0] for picture in pictures]
    images = [int8_input(c, file.spec) for c in canvases]
    compare(program(HOST, folder / "network.c"), file, images)


@_FULL
@pytest.mark.parametrize("name", _VARIANTS)
def test_variants(name: str, converted: Converted, tmp_path: Path) -> None:
    exact(locate.model_spec(name), converted, tmp_path)


@_FULL
@pytest.mark.parametrize("size", _SIZES, ids=str)
@pytest.mark.parametrize("name", ["nanodet-m-0.5x", "nanodet-plus-m-320"])
def test_sizes(name: str, size: tuple[int, int], converted: Converted, tmp_path: Path) -> None:
    exact(small(locate.model_spec(name), *size), converted, tmp_path)


@_FULL
@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_activations(
    activation: str, tiny: ModelSpec, converted: Converted, tmp_path: Path
) -> None:
    chosen = replace(
        tiny.architecture, backbone_activation=activation, neck_activation=activation,
        head_activation=activation,
    )  # fmt: skip
    exact(replace(tiny, architecture=chosen), converted, tmp_path)


@pytest.mark.parametrize("name", ["small", *(pytest.param(n, marks=_FULL) for n in _BACKBONES)])
def test_backbones(name: str, converted: Converted, tmp_path: Path) -> None:
    exact(small_spec(tmp_path) if name == "small" else spec_of(tmp_path, name), converted, tmp_path)
