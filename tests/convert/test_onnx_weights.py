"""Weights out of ONNX files as upstream's exporter makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from convert.checkpoint import load_network
from data import locate
from runtime.errors import KitError
from runtime.spec import ModelSpec
from tests.conftest import small
from tests.random_network import export_as_upstream, random_network


@pytest.mark.filterwarnings("ignore:You are using the legacy")
@pytest.mark.parametrize("name", ["nanodet-m-0.5x", "nanodet-plus-m-320"])
@pytest.mark.parametrize(
    ("options", "reason"),
    [({}, "batch norms folded"), ({"training": torch.onnx.TrainingMode.PRESERVE}, "as they are")],
)
def test_the_network_is_the_same(
    tmp_path: Path, name: str, options: dict[str, Any], reason: str
) -> None:
    spec = small(locate.model_spec(name), 96, 64)
    network = random_network(spec)
    export_as_upstream(
        network, tmp_path / "up.onnx", spec, do_constant_folding=not options, **options
    )
    operators = {node.op_type for node in onnx.load(tmp_path / "up.onnx").graph.node}
    assert ("BatchNormalization" in operators) == bool(options), reason
    found = load_network(tmp_path / "up.onnx", spec).network
    pixels = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for level, wanted in zip(found(pixels), network(pixels), strict=True):
            torch.testing.assert_close(level, wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny: ModelSpec) -> onnx.ModelProto:
    path = tmp_path_factory.mktemp("onnx") / "up.onnx"
    export_as_upstream(random_network(tiny), path, tiny)
    return onnx.load(path)


def convolution(model: onnx.ModelProto) -> Any:
    return next(node for node in model.graph.node if node.op_type == "Conv")


def weight(model: onnx.ModelProto) -> Any:
    name = convolution(model).input[1]
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def nameless(model: onnx.ModelProto) -> None:
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"


def elsewhere(model: onnx.ModelProto) -> None:
    tensor = weight(model)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def halves(model: onnx.ModelProto) -> None:
    weight(model).data_type = onnx.TensorProto.FLOAT16


def short(model: onnx.ModelProto) -> None:
    weight(model).raw_data = b"1234"


def computed(model: onnx.ModelProto) -> None:
    convolution(model).input[1] = "nowhere"


def bare(model: onnx.ModelProto) -> None:
    del convolution(model).input[1:]


def other(model: onnx.ModelProto) -> None:
    convolution(model).name = "/backbone/conv1/conv1.7/Conv"


@pytest.mark.filterwarnings("ignore:You are using the legacy")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (nameless, "does not name the weights of `Conv_0`; give the checkpoint"),
        (elsewhere, "keeps its weights in others; export it into one"),
        (halves, "holds no float32 weights of `/backbone/conv1/conv1.0/Conv`"),
        (short, "damaged, `onnx::Conv"),
        (computed, "holds no float32 weights"),
        (bare, "holds no float32 weights"),
        (other, r"not a nanodet-m-0.5x checkpoint, key `backbone\.conv1\.0\.weight` is missing"),
    ],
)
def test_files_that_will_not_do(
    tmp_path: Path,
    tiny: ModelSpec,
    model: onnx.ModelProto,
    change: Callable[[onnx.ModelProto], None],
    message: str,
) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    change(changed)
    onnx.save(changed, tmp_path / "a.onnx")
    with pytest.raises(KitError, match=message):
        load_network(tmp_path / "a.onnx", tiny)
