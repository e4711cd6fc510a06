from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from quantize import flatbuffer
from runtime.errors import KitError
from runtime.tflite_graph import Graph, unpack
from tests.analysis import foreign
from tests.analysis.tflite import Maker
from tests.conftest import Build


def test_reads_what_was_written(tmp_path: Path) -> None:
    made = Maker(1, 8, 8, 3).convolution(1, 4, 4, 16, kernel=3, stride=2)
    graph = Graph.read(made.step("RESHAPE", 1, 16, 16).write(tmp_path / "m.tflite"))
    conv, reshape = graph.operators
    assert (conv.label, reshape.label) == ("CONV_2D 0", "RESHAPE 1")
    assert [t.name for t in (*conv.inputs, *conv.outputs) if t] == [
        "input",
        "weight_0",
        "bias_0",
        "tensor_0",
    ]
    weight = conv.inputs[1]
    assert weight is not None and weight.shape == (16, 3, 3, 3) and len(weight.scales) == 16
    assert graph.inputs[0].bytes == 8 * 8 * 3 and graph.inputs[0].zero_points == (-128,)
    assert (conv.rank, reshape.rank, graph.outputs) == (4, 4, reshape.outputs)
    assert graph.constant_bytes == 16 * 27 + 4 * 16
    assert graph.named("RESHAPE") == [reshape]


def test_widths(tmp_path: Path) -> None:
    made = Maker(3, 5, dtype="INT16").step("CAST", 3, 5, dtype="FLOAT32")
    graph = Graph.read(made.write(tmp_path / "m.tflite"))
    assert [graph.inputs[0].bytes, graph.outputs[0].bytes] == [30, 60]


@pytest.mark.parametrize(
    ("content", "message", "reason"),
    [
        (b"", "not a TFLite file", "empty"),
        (b"GIF89a; no model at all", "not a TFLite file", "something else"),
        (b"\x10\0\0\0TFL3", "damaged", "nothing behind the identifier"),
        (b"\xff\xff\xff\xffTFL3" + bytes(64), "damaged", "points out of the file"),
        (b"\x08\0\0\0TFL3" + bytes(64), "damaged", "no subgraph"),
    ],
)
def test_garbage(content: bytes, message: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(KitError, match=rf"bad\.tflite: {message}"):
        Graph.read(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="cannot be read"):
        Graph.read(tmp_path)


@pytest.mark.parametrize("name", foreign.FILES)
def test_what_litert_runs_is_read(name: str, tmp_path: Path) -> None:
    """Files unlike this kit's own, each run by LiteRT to begin with."""
    content = foreign.FILES[name]()
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.invoke()
    graph = Graph.parse(content, name)
    assert [t.index for t in graph.inputs] == [d["index"] for d in interpreter.get_input_details()]
    for tensor, details in zip(graph.inputs, interpreter.get_input_details(), strict=True):
        assert tensor.name == details["name"] and tensor.shape == tuple(details["shape"])
    assert len(graph.operators) == ("no operators" not in name)


def test_values_behind_the_tables() -> None:
    graph = Graph.parse(foreign.values_behind_the_tables(), "m")
    constant = graph.operators[0].input(1)
    assert constant is not None and constant.data.view("<f4").tolist() == [0, 1, 2, 3]
    assert graph.constant_bytes == 16
    with pytest.raises(KitError, match=r"16 bytes at \d+ leave the file"):
        Graph.parse(foreign.values_behind_the_tables()[:-1], "m")


@pytest.mark.parametrize(
    ("number", "bits"), [(17, 4), (18, 16), (11, 128), (19, 2), (5, 8), (99, 8)]
)
def test_bytes_of_every_type(number: int, bits: int) -> None:
    """INT4, BFLOAT16, COMPLEX128, INT2, STRING, and one that is not in the schema."""
    model = foreign.plain()
    model.subgraphs[0].tensors[0].type = number
    graph = Graph.parse(flatbuffer.serialize(model), "m")
    assert graph.inputs[0].bytes == 256 * bits // 8


def test_damage_is_an_error_of_its_own(build: Build) -> None:
    """Cut anywhere, or with bytes overwritten: read, or refused in one line, never a traceback."""
    content, rng = build.tflite.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        cut = content[: rng.integers(8, len(content) - 100)]
        position = rng.integers(8, len(content) - 4)
        hit = content[:position] + rng.bytes(4) + content[position + 4 :]
        for damaged in (cut, hit):
            try:
                Graph.parse(damaged, "m")
            except KitError:
                refused += 1
    assert refused >= 30


def test_wrong_tensors(build: Build) -> None:
    """An operator that reads a tensor which is not there."""
    for index in (-2, 9999):
        model = unpack(build.tflite.read_bytes())
        model.subgraphs[0].operators[3].inputs = [index]
        with pytest.raises(KitError, match="damaged"):
            Graph.parse(flatbuffer.serialize(model), "m")
