from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from analysis.diagnosis import Subject
from analysis.doctor import NPUS, diagnose
from analysis.rules import neutron
from analysis.rules.custom import NOTHING
from tests.analysis.tflite import (
    Maker,
    customs,
    image,
    leaky,
    moved,
    padded,
    pooled,
    resized,
    subject,
)
from tests.conftest import Build

TARGETS = [target for target, family in NPUS.items() if family == "neutron"]


def told(maker: Maker, folder: Path) -> Subject:
    return subject(maker.write(folder / "m.tflite"), "imx95")


def layered(change: Callable[[Any, Any], None] = lambda weight, bias: None) -> Maker:
    """A convolution, with another weight or bias."""
    made = image().convolution(1, 8, 8, 8)
    change(*made.tensors[1:3])
    return made


def strided(stride: int) -> Maker:
    made = Maker(1, 1, 8192, 1)
    return made.convolution(1, 1, 2, 8, stride=stride)


def wide(channels: int) -> Maker:
    return Maker(1, 1, 1, channels).convolution(1, 1, 1, 1, kernel=8)


def joined(scale: float) -> Maker:
    made = image(scale=0.5, zero=0)
    made.tensor("other", (1, 8, 8, 4), scales=(scale,))
    made.tensor("both", (1, 8, 8, 8))
    return made.add("CONCATENATION", ["input", "other"], "both")


def cornered(to: int) -> Maker:
    made = resized(to)
    made.last_options.alignCorners = True
    return made


def _in_a_group(weight: Any, bias: Any) -> None:
    weight.shape = [8, 1, 1, 2]


def _computed(weight: Any, bias: Any) -> None:
    weight.buffer = 0


def _wide_bias(weight: Any, bias: Any) -> None:
    bias.type = schema.TensorType.INT64


@pytest.mark.parametrize(
    ("maker", "rule", "reason"),
    [
        (image().step("SPLIT", 1, 8, 8, 4), "operator", "in no list"),
        (image().step("MUL", 1, 8, 8, 4), None, "in the list"),
        (image(dtype="UINT8").step("ADD", 1, 8, 8, 4, dtype="UINT8"), None, "uint8"),
        (image(dtype="INT16").step("ADD", 1, 8, 8, 4, dtype="INT16"), "types", "int16"),
        (image().step("ADD", 1, 8, 8, 4, dtype="FLOAT32"), "types", "float out"),
        (layered(), None, "constant weights and an int32 bias"),
        (layered(_computed), "weights", "computed weights"),
        (layered(_wide_bias), "weights", "an int64 bias"),
        (layered(_in_a_group), "groups", "two groups of two channels"),
        (strided(4096), None, "the longest stride"),
        (strided(4097), "window", "a longer one"),
        (wide(1016), None, "64 x 1016, as 65,024"),
        (wide(1017), "kernel", "64 x 1024, rounded up"),
        (joined(0.5), None, "one scale"),
        (joined(0.25), "scales", "two"),
        (pooled("MAX_POOL_2D", 2, 2), None, "one scale"),
        (image().pool(1, 4, 4, 4), "scales", "another scale behind the pool"),
        (resized(8), None, "by 1"),
        (resized(16), None, "by 2"),
        (resized(64), None, "by 8"),
        (resized(24), "resize", "by 3"),
        (resized(4), "resize", "by a half"),
        (cornered(15), None, "by 2 between corners"),
        (cornered(16), "resize", "by 15/7 between corners"),
        (padded(), None, "height and width"),
        (moved(image(), "PAD", 1, 8, 8, 5, constants=[[0, 0, 0, 0, 0, 0, 0, 1]]), "pad",
         "channels"),
    ],
)  # fmt: skip
def test_rules(maker: Maker, rule: str | None, reason: str, tmp_path: Path) -> None:
    found = neutron.examine(told(maker, tmp_path))
    failed = {f.rule: f for f in found.findings if f.severity == "warning"}
    assert set(failed) == ({rule} if rule else set()), reason
    assert [p.where for p in found.placements] == ["CPU" if rule else "NPU"]
    for finding in failed.values():
        assert finding.cure and "ExecuTorch" in finding.source and finding.operators == (0,)


def test_leaky_relu_is_taken(tmp_path: Path) -> None:
    found = neutron.examine(told(leaky(image()), tmp_path))
    assert [(f.rule, f.severity) for f in found.findings] == [("leaky-relu", "note")]
    assert found.placements[0].where == "NPU"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("code", "where", "error"),
    [("NeutronGraph", "NPU", None), ("ethos-u", NOTHING, "compiled"), ("MyOwn", NOTHING, "custom")],
)
def test_custom_operators(
    code: str, where: str, error: str | None, target: str, tmp_path: Path
) -> None:
    found = diagnose(customs(code).write(tmp_path / "m.tflite"), target)
    assert found["placements"][0]["where"] == where
    errors = {f["rule"] for f in found["findings"] if f["severity"] == "error"}
    assert errors == ({error} if error else set())


@pytest.mark.parametrize(
    ("code", "board", "where"),
    [
        ("TFLite_Detection_PostProcess", "imx95", "CPU"),
        ("TFLite_Detection_PostProcess", "mcxn947", "CPU"),
        ("Mfcc", "imx95", "CPU"),
        ("Mfcc", "mcxn947", NOTHING),
        ("SignalRfft", "imx95", NOTHING),
        ("SignalRfft", "mcxn947", "CPU"),
    ],
)
def test_interpreters_of_the_boards(code: str, board: str, where: str, tmp_path: Path) -> None:
    found = neutron.examine(subject(customs(code).write(tmp_path / "m.tflite"), board))
    assert found.placements[0].where == where


@pytest.mark.parametrize("target", TARGETS)
def test_ours_passes_and_the_converter_decides(build: Build, target: str) -> None:
    found = diagnose(build.tflite, target)
    assert {p["where"] for p in found["placements"]} == {"NPU"}
    assert {f["severity"] for f in found["findings"]} == {"note"}
    assert "pre-check: 0 fail" in found["placement_basis"]
    assert "closed converter decides" in found["placement_basis"]
    assert found["prediction"]["latency_ms"] is None


@pytest.mark.real
@pytest.mark.parametrize("target", TARGETS)
def test_nxps_file_fails_where_it_halves(nxp: Path, target: str) -> None:
    found = diagnose(nxp, target)
    rules = {f["rule"]: f for f in found["findings"]}
    assert tuple(rules["resize"]["operators"]) == (197, 199)
    assert "halve_by_mean" in rules["resize"]["cure"]
    assert len(rules["operator"]["operators"]) == 13 and "SPLIT" in rules["operator"]["what"]
    assert sum(p["where"] == "CPU" for p in found["placements"]) == 15
