from __future__ import annotations

from pathlib import Path

import pytest

from analysis.rules import imx8mp
from tests.analysis.tflite import Maker, image, padded, subject, transposed


@pytest.mark.parametrize(
    ("maker", "rule", "severity", "reason"),
    [
        (padded("PADV2"), "cpu", "warning", "the delegate has no mapping"),
        (image(dtype="INT16", zero=0).convolution(1, 8, 8, 8), "cpu", "warning", "hybrid"),
        (image().convolution(1, 8, 8, 8), "cpu", None, "int8 throughout"),
        (transposed(5), "wide-transpose", "warning", "splits the graph"),
        (transposed(3), "wide-transpose", None, "rank 3"),
        (image().convolution(1, 8, 8, 8), "per-channel", "note", "one scale per channel"),
        (image().convolution(1, 8, 8, 8, per_channel=False), "per-channel", None, "one scale"),
    ],
)
def test_rules(maker: Maker, rule: str, severity: str | None, reason: str, tmp_path: Path) -> None:
    path = maker.write(tmp_path / "m.tflite")
    found = {f.rule: f for f in imx8mp.examine(subject(path, "imx8mp")).findings}
    assert (rule in found) == (severity is not None), reason
    if severity is not None:
        assert found[rule].severity == severity, reason


def test_placements(tmp_path: Path) -> None:
    maker = padded("PADV2").convolution(1, 10, 10, 8)
    found = imx8mp.examine(subject(maker.write(tmp_path / "m.tflite"), "imx8mp"))
    assert [p.where for p in found.placements] == ["CPU", "NPU"]
    assert "not known" in found.basis


def test_no_latency_is_made_up(tmp_path: Path) -> None:
    path = image().convolution(1, 8, 8, 8).write(tmp_path / "m.tflite")
    found = imx8mp.examine(subject(path, "imx8mp")).prediction
    assert found.latency_ms is None
    assert found.basis.startswith("not predicted") and "12.1 ms" in found.basis
