"""Custom operators on each target: run, left to the CPU, or an error that says what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.diagnosis import Examination
from analysis.rules import imx8mp, imx93, microcontroller
from analysis.rules.custom import NOTHING
from tests.analysis.test_vela import needs_vela
from tests.analysis.tflite import customs, subject

_TARGETS = {
    "imxrt1170": (microcontroller.examine, "imxrt1170"),
    "imx8mp-npu": (imx8mp.examine, "imx8mp"),
    "imx93-npu": (imx93.examine, "imx93"),
}
_MICRO, _LINUX = ("imxrt1170",), ("imx8mp-npu", pytest.param("imx93-npu", marks=needs_vela))


def examined(target: str, path: Path) -> Examination:
    examine, board = _TARGETS[target]
    return examine(subject(path, board))


@pytest.mark.parametrize("target", [*_MICRO, *_LINUX])
@pytest.mark.parametrize(
    ("code", "rule", "said"),
    [
        ("ethos-u", "compiled", "compiled for another board: an Ethos-U"),
        ("NeutronGraph", "compiled", "compiled for another board: an eIQ Neutron"),
        ("edgetpu-custom-op", "compiled", "compiled for another board: Google's Edge TPU"),
        ("vsi-npu", "compiled", "compiled for another board: VeriSilicon's NPU"),
        ("DISPATCH_OP", "compiled", "compiled for another board: a phone's NPU"),
        ("FlexBetainc", "custom", "for its Flex delegate"),
        ("MyOwn", "custom", "a kernel that the file's maker must bring"),
        ("", "custom", "a kernel that the file's maker must bring"),
    ],
)
def test_an_error_where_nothing_runs_it(
    code: str, rule: str, said: str, target: str, tmp_path: Path
) -> None:
    if (code, target) in (("ethos-u", "imx93-npu"), ("vsi-npu", "imx8mp-npu")):
        pytest.skip("this is the board it was compiled for")
    found = examined(target, customs(code).write(tmp_path / "m.tflite"))
    errors = {f.rule: f for f in found.findings if f.severity == "error"}
    assert said in errors[rule].what and errors[rule].operators == (0,)
    assert not any("CUSTOM" in f.why or "CUSTOM" in f.what for f in found.findings
                   if f.rule == "cpu"), "not left to the CPU"  # fmt: skip
    assert found.placements[0].where == NOTHING


@pytest.mark.parametrize(
    ("code", "target", "where"),
    [
        ("TFLite_Detection_PostProcess", "imxrt1170", "reference C"),
        ("TFLite_Detection_PostProcess", "imx8mp-npu", "CPU"),
        pytest.param("TFLite_Detection_PostProcess", "imx93-npu", "CPU", marks=needs_vela),
        ("SignalRfft", "imxrt1170", "reference C"),
        ("SignalRfft", "imx8mp-npu", NOTHING),
        ("Mfcc", "imx8mp-npu", "CPU"),
        ("Mfcc", "imxrt1170", NOTHING),
        ("vsi-npu", "imx8mp-npu", "NPU"),
    ],
)
def test_which_target_knows_which(code: str, target: str, where: str, tmp_path: Path) -> None:
    found = examined(target, customs(code).write(tmp_path / "m.tflite"))
    assert found.placements[0].where == where
    errors = {f.rule for f in found.findings if f.severity == "error"}
    assert ("custom" in errors) == (where == NOTHING)


@pytest.mark.parametrize("target", [*_MICRO, _LINUX[0]])
def test_what_else_the_file_holds_is_placed(target: str, tmp_path: Path) -> None:
    """One operator that nothing runs between two that are as ever."""
    made = customs("ethos-u").step("RESHAPE", 1, 16, 16).convolution(1, 16, 16, 8)
    found = examined(target, made.write(tmp_path / "m.tflite"))
    assert [p.where == NOTHING for p in found.placements] == [True, False, False]
