from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from quantize import flatbuffer
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import unpack
from tests.conftest import Build


def test_agrees_with_the_interpreter(build: Build) -> None:
    file = TfliteFile.read(build.tflite)
    interpreter = Interpreter(str(build.tflite))
    details = {d["name"]: d for d in interpreter.get_output_details()}
    assert file.spec == build.spec
    assert [t.name for t in file.outputs] == list(build.spec.output_names)
    for tensor in file.outputs:
        detail = details[tensor.name]
        assert tensor.shape == tuple(detail["shape"])
        assert (tensor.scale, tensor.zero_point) == pytest.approx(detail["quantization"])
    (detail,) = interpreter.get_input_details()
    assert (file.input.scale, file.input.zero_point) == pytest.approx(detail["quantization"])


def test_truncated_at_any_length(build: Build) -> None:
    content = build.tflite.read_bytes()
    for length in np.linspace(0, len(content) - 1, 60).astype(int):
        with pytest.raises(KitError, match=r"cut\.tflite"):
            TfliteFile.parse(content[:length], "cut.tflite")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\0" * 64, b"\xff" * 4 + b"TFL3" + b"\xff" * 50]
)
def test_no_tflite_file(content: bytes) -> None:
    with pytest.raises(KitError, match=r"m\.tflite"):
        TfliteFile.parse(content, "m.tflite")


def test_no_metadata(build: Build) -> None:
    model = unpack(build.tflite.read_bytes())
    model.metadata = []
    with pytest.raises(KitError, match="no NanoDet model spec"):
        TfliteFile.parse(flatbuffer.serialize(model), "m.tflite")


def test_spec_of_another_model(build: Build) -> None:
    model = unpack(build.tflite.read_bytes())
    model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]].name = "cls_64"
    with pytest.raises(KitError, match="its spec says"):
        TfliteFile.parse(flatbuffer.serialize(model), "m.tflite")


def test_spec_of_another_size(build: Build) -> None:
    model = unpack(build.tflite.read_bytes())
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape[1] = 32
    with pytest.raises(KitError, match=r"inputs \[\(1, 32, .* its spec says \[\(1, 64,"):
        TfliteFile.parse(flatbuffer.serialize(model), "m.tflite")


def test_a_vector_that_leaves_the_file(build: Build) -> None:
    """A length of 4 GiB, where the list of tensors says its own."""
    content = bytearray(build.tflite.read_bytes())
    tensors = schema.Model.GetRootAs(content, 0).Subgraphs(0)._tab
    start = tensors.Vector(tensors.Offset(4)) - 4
    content[start : start + 4] = b"\xff" * 4
    with pytest.raises(KitError, match=r"m\.tflite: damaged"):
        TfliteFile.parse(bytes(content), "m.tflite")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="nowhere"):
        TfliteFile.read(tmp_path / "nowhere.tflite")
