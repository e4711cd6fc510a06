from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from analysis.diagnosis import Finding
from analysis.rules import imx8mp
from analysis.rules.imx8mp import NN, NONE, SHADER, TP
from quantize import INT8_REWRITES, flatbuffer, integer_file
from quantize.deploy import deploy
from quantize.float_graph import FloatGraph
from quantize.methods import quantize
from quantize.scheme import SCHEMES
from quantize.steady import settle
from quantize.targets import TARGETS, left_out
from quantize.verify import expected_counts
from runtime.tflite_graph import Graph, unpack
from tests.analysis.tflite import (
    Maker,
    image,
    leaky,
    moved,
    padded,
    pooled,
    subject,
    transposed,
)
from tests.conftest import Build, calibration

_RELU6 = schema.ActivationFunctionType.RELU6
SIX = float(np.float32(6) / np.float32(255))


def plain(*shape: int, **settings: Any) -> Maker:
    """A convolution with one scale."""
    return image(**settings).convolution(*(shape or (1, 8, 8, 8)), per_channel=False)


def biased(factor: float, per_channel: bool = True) -> Maker:
    """A convolution whose bias has a scale of its own."""
    made = image().convolution(1, 8, 8, 8, per_channel=per_channel)
    made.tensors[2].quantization.scale *= np.float32(factor)
    return made


def clipped(scale: float, zero: int, dtype: str = "INT8") -> Maker:
    """A convolution that fuses a ReLU6."""
    made = plain(dtype=dtype)
    made.last_options.fusedActivationFunction = _RELU6
    out = made.tensors[-1]
    out.quantization.scale, out.quantization.zeroPoint = [scale], [zero]
    out.type = getattr(schema.TensorType, dtype)
    return made


def split() -> Maker:
    made = image()
    for name in ("one", "other"):
        made.tensor(name, (1, 8, 8, 2))
    made.tensor("axis", (1,), "INT32", (), values=[3])
    return made.add("SPLIT", ["axis", "input"], "one")


def found(maker: Maker, folder: Path) -> dict[str, Finding]:
    path = maker.write(folder / "m.tflite")
    return {f.rule: f for f in imx8mp.examine(subject(path, "imx8mp")).findings}


@pytest.mark.parametrize(
    ("maker", "rule", "severity", "reason"),
    [
        (padded("PADV2"), "cpu", "warning", "the delegate has no mapping"),
        (image(dtype="INT16", zero=0).convolution(1, 8, 8, 8), "cpu", "warning", "hybrid"),
        (image().convolution(1, 8, 8, 8), "cpu", None, "int8 throughout"),
        (transposed(5), "wide-transpose", "warning", "splits the graph"),
        (transposed(3), "wide-transpose", None, "rank 3"),
        (image().convolution(1, 8, 8, 8), "per-channel", "warning", "one scale per channel"),
        (plain(), "per-channel", None, "one scale"),
        (biased(1.001), "bias-scale", "error", "another scale per channel"),
        (biased(1.001, per_channel=False), "bias-scale", "error", "another scale"),
        (biased(1), "bias-scale", None, "the product"),
        (biased(1 + 2**-23), "bias-scale", None, "the product, but for rounding"),
        (clipped(5.9 / 255, -128), "relu6", "warning", "ends below 6"),
        (clipped(SIX, -127), "relu6", "warning", "begins below 0"),
        (clipped(SIX, -128), "relu6", None, "exactly [0, 6]"),
        (clipped(SIX, 0, "UINT8"), "relu6", None, "the same in uint8"),
        (plain().step("RELU6", 1, 8, 8, 8, scale=0.02), "relu6", "warning", "of its own"),
        (
            plain().step("RELU6", 1, 8, 8, 8, scale=SIX, zero=-128),
            "relu6",
            None,
            "fused, too",
        ),
        (leaky(plain(), 1, 8, 8, 8), "leaky-relu", "note", "never fused"),
        (plain().step("RELU", 1, 8, 8, 8), "leaky-relu", None, "fused"),
        (moved(image(), "SLICE", 1, 8, 8, 2), "copies", "note", "a slice"),
        (split(), "copies", "note", "a split"),
        (transposed(3), "copies", "note", "a transpose"),
        (plain(), "copies", None, "none there"),
        (plain(), "int8-ends", "note", "int8 at both ends"),
        (image(dtype="UINT8").step("ADD", 1, 8, 8, 4, dtype="UINT8"), "int8-ends", None, "uint8"),
    ],
)
def test_rules(maker: Maker, rule: str, severity: str | None, reason: str, tmp_path: Path) -> None:
    told = found(maker, tmp_path)
    assert (rule in told) == (severity is not None), reason
    if severity is not None:
        assert told[rule].severity == severity and told[rule].source, reason


def test_figures(tmp_path: Path) -> None:
    """A LEAKY_RELU reads and writes 512 bytes each, a slice reads those and writes 128."""
    made = leaky(plain(), 1, 8, 8, 8).step("SLICE", 1, 8, 8, 2)
    told = found(made, tmp_path)
    assert "1,024 bytes read and written, 62% of" in told["leaky-relu"].what
    assert "TP cores: 1 (1 SLICE), 128 bytes" in told["copies"].what
    assert "2, 384 bytes" in told["int8-ends"].what


@pytest.mark.parametrize(
    ("maker", "places", "reason"),
    [
        (padded("PADV2").convolution(1, 10, 10, 8), ["CPU", SHADER], "no mapping; per channel"),
        (plain().convolution(1, 8, 8, 8, per_channel=False), [NN, NN], "one scale"),
        (plain().step("ADD", 1, 8, 8, 8), [NN, NN], "an addition"),
        (leaky(plain(), 1, 8, 8, 8), [NN, TP], "not fused"),
        (plain().step("RELU", 1, 8, 8, 8), [NN, NONE], "fused"),
        (image().step("RELU", 1, 8, 8, 4), ["NPU"], "nothing to fuse with"),
        (plain().step("RELU6", 1, 8, 8, 8, scale=0.02), [NN, TP], "its range does not fuse"),
        (plain().step("RELU6", 1, 8, 8, 8, scale=SIX, zero=-128), [NN, NONE], "its range does"),
        (pooled("AVERAGE_POOL_2D", 2, 2), [NN], "a mean of 2x2"),
        (pooled("AVERAGE_POOL_2D", 4, 1), [SHADER], "a mean of 4x4"),
        (pooled("MAX_POOL_2D", 2, 2), [TP], "a maximum"),
        (image().step("TANH", 1, 8, 8, 4), ["NPU"], "nobody looked"),
        (image(dtype="FLOAT32").step("ADD", 1, 8, 8, 4, dtype="FLOAT32"), ["NPU"], "floats"),
    ],
)
def test_placements(maker: Maker, places: list[str], reason: str, tmp_path: Path) -> None:
    told = imx8mp.examine(subject(maker.write(tmp_path / "m.tflite"), "imx8mp"))
    assert [p.where for p in told.placements] == places, reason
    assert "simulator" in told.basis and "not known" in told.basis


def test_no_latency_is_made_up(tmp_path: Path) -> None:
    path = image().convolution(1, 8, 8, 8).write(tmp_path / "m.tflite")
    told = imx8mp.examine(subject(path, "imx8mp")).prediction
    assert told.latency_ms is None
    assert told.basis.startswith("not predicted") and "12.1 ms" in told.basis


def test_what_the_target_builds(shuffled: Build, canvas: np.ndarray, tmp_path: Path) -> None:
    """Nothing above a note, every layer on the NN cores, and no copy."""
    graph = FloatGraph.parse(shuffled.float_model, SCHEMES[TARGETS["imx8mp-npu"].quantization])
    ranges = quantize(graph, shuffled.spec, calibration(shuffled.spec), ()).ranges
    model = integer_file.write(graph, settle(graph, ranges))
    rewrites = set(INT8_REWRITES) - left_out("imx8mp-npu", ())
    expected = expected_counts(shuffled.onnx)
    built = deploy(model, shuffled.spec, rewrites, expected, canvas, "tiny")
    assert not built.left_out
    (tmp_path / "m.tflite").write_bytes(built.content)
    told = imx8mp.examine(subject(tmp_path / "m.tflite", "imx8mp", own=True))
    notes = {"leaky-relu": "note", "int8-ends": "note"}
    assert {f.rule: f.severity for f in told.findings} == notes
    assert {p.where for p in told.placements if "CONV" in p.operator} == {NN}


# Operations on NN cores, TP cores and shader of whole files in VeriSilicon's simulator, with one
# scale per channel and with one per tensor.
_NXPS = ((4, 145, 112), (84, 174, 7))
_OURS = ((0, 138, 113), (108, 205, 4))  # Stride 32.


@pytest.mark.real
@pytest.mark.parametrize("one_scale", [False, True])
def test_nxps_file_as_in_the_simulator(nxp: Path, one_scale: bool) -> None:
    nn, tp, shader = _operations(nxp, one_scale)
    assert (nn, tp, shader) == (4 + one_scale * 63, 96, _NXPS[one_scale][2])
    assert nn <= _NXPS[one_scale][0] and tp <= _NXPS[one_scale][1]


@pytest.mark.real
@pytest.mark.parametrize("one_scale", [False, True])
def test_our_file_as_in_the_simulator(recipe: Path, one_scale: bool) -> None:
    nn, tp, shader = _operations(recipe / "nanodet_m_0.5x.tflite", one_scale)
    assert (nn, tp, shader) == (one_scale * 66, 121, _OURS[one_scale][2])
    assert nn <= _OURS[one_scale][0] and tp <= _OURS[one_scale][1]


def _operations(path: Path, one_scale: bool) -> tuple[int, int, int]:
    """By the doctor, on NN cores, TP cores and shader.

    Of the shader all are explained: each int8 end is a copy, and a CONV_2D with a scale per channel
    takes two. NN and TP cores take more in the simulator than the file has operators: large layers
    are split over the cores, and moved before and after.
    """
    model = unpack(path.read_bytes())
    for op in Graph.of(model).operators if one_scale else ():
        for tensor in op.inputs[1:3] if "CONV" in op.name else ():
            assert tensor is not None
            packed = model.subgraphs[0].tensors[tensor.index].quantization
            packed.scale, packed.zeroPoint = packed.scale[:1], packed.zeroPoint[:1]
    graph = Graph.parse(flatbuffer.serialize(model), str(path))
    placements = imx8mp.place(graph)
    told = Counter(p.where for p in placements)
    told[SHADER] += len(graph.inputs) + len(graph.outputs)
    told[SHADER] += sum(p.where == SHADER and p.operator == "CONV_2D" for p in placements)
    assert told.keys() <= {NN, TP, SHADER, NONE}
    return told[NN], told[TP], told[SHADER]
