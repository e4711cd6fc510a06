"""ONNX and TensorFlow: the gates hold on a good build and name the layer of a bad one."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from convert import onnx_export, tensorflow_export
from convert.checkpoint import load_network
from convert.engines import OnnxEngine, TorchEngine
from convert.lowering import Lowered, lower
from convert.parity import TOLERANCE, largest_difference
from runtime.errors import GateFailed, KitError
from runtime.spec import ModelSpec, as_trained
from runtime.tflite_graph import unpack
from tests.conftest import Build, Converted, deviation, small


@pytest.fixture(scope="module")
def lowered(build: Build, tiny: ModelSpec, canvas: np.ndarray) -> Lowered:
    return lower(load_network(build.checkpoint, tiny).network, tiny, canvas)[0]


def damage(source: Path, target: Path, initializer: int) -> str:
    """Copy an ONNX file with one convolution's weights changed; returns the tensor's name."""
    proto = onnx.load(source)
    weights = [t for t in proto.graph.initializer if len(t.dims) == 4]
    tensor = weights[initializer]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.05, tensor.name))
    onnx.save(proto, target)
    return tensor.name


def test_onnx_operators(build: Build) -> None:
    graph = onnx.load(build.onnx).graph
    counts = Counter(node.op_type for node in graph.node)
    assert counts["Slice"] == 65
    assert not set(counts) & {
        "Gather",
        "Pad",
        "Transpose",
        "Reshape",
        "Sigmoid",
        "BatchNormalization",
    }
    strided = [
        {a.name: a for a in node.attribute}
        for node in graph.node
        if any(a.name == "strides" and list(a.ints) == [2, 2] for a in node.attribute)
        and node.op_type in ("Conv", "MaxPool")
    ]
    assert len(strided) == 8
    assert all(attributes["auto_pad"].s == b"SAME_UPPER" for attributes in strided)
    assert [o.name for o in graph.output] == list(build.spec.output_names)


def test_onnx_bytes_repeat(lowered: Lowered, build: Build, tmp_path: Path) -> None:
    onnx_export.export(lowered, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == build.onnx.read_bytes()


def test_onnx_names_no_path_of_this_machine(build: Build) -> None:
    content = build.onnx.read_bytes()
    assert b"site-packages" not in content
    assert str(Path(__file__).parent.parent.parent).encode() not in content


def test_onnx_gate(lowered: Lowered, build: Build, canvas: np.ndarray, tmp_path: Path) -> None:
    assert onnx_export.check(lowered, build.onnx, canvas) < TOLERANCE
    layer = damage(build.onnx, tmp_path / "bad.onnx", 7).removesuffix(".weight")
    with pytest.raises(GateFailed, match=f"first at layer {layer}"):
        onnx_export.check(lowered, tmp_path / "bad.onnx", canvas)


def test_onnx_answers_as_the_network_as_trained(
    build: Build, tiny: ModelSpec, canvas: np.ndarray
) -> None:
    """Up to the grey border, the one rewrite that is not exact."""
    plain = TorchEngine(load_network(build.checkpoint, tiny).network, as_trained(build.spec))
    expected, found = plain.infer(canvas), OnnxEngine(build.onnx).infer(canvas)
    for name, values in expected.items():
        assert deviation(found[name], values) < 0.15, name


def test_onnx_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(KitError, match="refuses"):
        OnnxEngine(tmp_path / "x.onnx")


def test_onnx_without_spec(build: Build, tmp_path: Path) -> None:
    proto = onnx.load(build.onnx)
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "bare.onnx")
    with pytest.raises(KitError, match="no NanoDet model spec"):
        OnnxEngine(tmp_path / "bare.onnx")


def test_tensorflow_gate(build: Build, canvas: np.ndarray, tmp_path: Path) -> None:
    assert tensorflow_export.check(build.onnx, build.saved_model, canvas) < TOLERANCE
    bad = tmp_path / "bad.onnx"
    damaged = damage(build.onnx, bad, 7)
    with pytest.raises(GateFailed, match="first at layer") as error:
        tensorflow_export.check(bad, build.saved_model, canvas)
    (node,) = [n for n in onnx.load(bad).graph.node if damaged in n.input]
    assert str(error.value).endswith(f"first at layer {node.output[0]}")


def test_tensorflow_gate_counts_operators(build: Build, canvas: np.ndarray, tmp_path: Path) -> None:
    proto = onnx.load(build.onnx)
    extra = next(node for node in proto.graph.node if node.op_type == "LeakyRelu")
    copy = onnx.NodeProto()
    copy.CopyFrom(extra)
    copy.name, copy.output[0] = "spare", "spare"
    proto.graph.node.append(copy)
    onnx.save(proto, tmp_path / "more.onnx")
    with pytest.raises(GateFailed, match="48 LeakyRelu operators, expected 49"):
        tensorflow_export.check(tmp_path / "more.onnx", build.saved_model, canvas)


def test_onnx2tf_leaves_its_input_alone(build: Build, canvas: np.ndarray, tmp_path: Path) -> None:
    shutil.copy(build.onnx, tmp_path / "model.onnx")
    tensorflow_export.export(tmp_path / "model.onnx", tmp_path / "saved_model", canvas)
    assert (tmp_path / "model.onnx").read_bytes() == build.onnx.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "saved_model"]
    assert (
        largest_difference(
            OnnxEngine(build.onnx).infer(canvas), OnnxEngine(tmp_path / "model.onnx").infer(canvas)
        )
        == 0
    )


def test_as_many_channels_as_rows_and_columns(official: ModelSpec, converted: Converted) -> None:
    """24 channels on 24x24 cells: onnx2tf, unless told, cannot tell the axes apart."""
    spec = small(official, 96, 96).with_strides((32,))
    built = converted(spec)
    shapes = {tuple(t.shape) for t in unpack(built.float_model).subgraphs[0].tensors}
    assert (1, 24, 24, 24) in shapes
