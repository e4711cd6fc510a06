from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from analysis.diagnosis import Examination
from analysis.rules import imx93
from analysis.vela import compile_model
from runtime.errors import KitError
from tests.analysis.test_vela import needs_vela
from tests.analysis.tflite import (
    Maker,
    gathered,
    image,
    leaky,
    resized,
    sliced,
    subject,
    transposed,
)

pytestmark = needs_vela


def examine(maker: Maker, folder: Path) -> Examination:
    return imx93.examine(subject(maker.write(folder / "m.tflite"), "imx93"))


@pytest.mark.parametrize(
    ("maker", "rule", "severity", "reason"),
    [
        (gathered(), "cpu", "warning", "an operator the NPU does not know"),
        (sliced(2), "cpu", "warning", "a step"),
        (sliced(1), "cpu", None, "no step"),
        (resized(4), "cpu", "warning", "halving"),
        (resized(16), "cpu", None, "doubling"),
        (leaky(image(dtype="FLOAT32"), dtype="FLOAT32"), "cpu", "warning", "float"),
        (transposed(5), "wide-transpose", "warning", "depends on the compiler"),
        (transposed(3), "wide-transpose", None, "rank 3"),
        (image().convolution(1, 4, 4, 8, kernel=3, stride=2), "stem", "note", "4 channels"),
        (Maker(1, 8, 8, 16).convolution(1, 8, 8, 8), "stem", None, "16 channels"),
        (leaky(image()), "stem", None, "no convolution"),
    ],
)
def test_rules(maker: Maker, rule: str, severity: str | None, reason: str, tmp_path: Path) -> None:
    found = {f.rule: f for f in examine(maker, tmp_path).findings}
    assert (rule in found) == (severity is not None), reason
    if severity is not None:
        assert found[rule].severity == severity, reason


def test_placements_are_velas(tmp_path: Path) -> None:
    """One operator of three stays on the CPU, with Vela's own reason and the kit's cure."""
    found = examine(leaky(leaky(gathered())), tmp_path)
    assert [p.where for p in found.placements] == ["CPU", "NPU", "NPU"]
    assert "Unsupported opType" in found.placements[0].reason
    (cpu,) = (f for f in found.findings if f.rule == "cpu")
    assert cpu.operators == (0,) and "shuffle_by_slices" in cpu.cure


def test_an_operator_of_velas_own_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leaky(image()).write(tmp_path / "m.tflite")
    compiled = dataclasses.replace(compile_model(path), cpu={"made_up": "for a test"})
    monkeypatch.setattr(imx93, "compile_model", lambda path: compiled)
    (found,) = imx93.examine(subject(path, "imx93")).findings
    assert found.rule == "cpu" and "made_up, which the file does not name" in found.why


def test_compiled_already(tmp_path: Path) -> None:
    path = leaky(image()).write(tmp_path / "m.tflite")
    compile_model(path, tmp_path)
    with pytest.raises(KitError, match="compiled it already"):
        imx93.examine(subject(tmp_path / "m_vela.tflite", "imx93"))


def test_latency_is_velas(tmp_path: Path) -> None:
    found = examine(image().convolution(1, 8, 8, 8), tmp_path)
    assert found.prediction.latency_ms is not None and 0 < found.prediction.latency_ms < 1
    assert "estimate" in found.prediction.basis
