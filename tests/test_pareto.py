"""benchmarks.pareto: what is worth a full build, and that a run goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import pareto
from benchmarks.builds import read_rows


def row(ap: float, tflm: int, own: int) -> dict[str, Any]:
    return {"float_ap": ap, "instructions": tflm, "engine_instructions": own}


@pytest.mark.parametrize(
    ("rows", "found", "reason"),
    [
        ({"a": row(7, 300, 75)}, ["a"], "there is no other"),
        ({"a": row(7, 300, 75), "b": row(17, 350, 100)}, ["b", "a"], "the further step first"),
        ({"a": row(11, 250, 70), "b": row(9.9, 300, 75)}, ["a"], "dearer, and 1.1 AP lower"),
        ({"a": row(11, 250, 70), "b": row(10, 300, 75)}, ["a", "b"], "just within 1 AP"),
        ({"a": row(11, 250, 90), "b": row(8, 300, 75)}, ["a", "b"], "on the other engine alone"),
        ({"a": row(11, 250, 70), "b": row(11, 250, 70)}, ["a", "b"], "equals"),
    ],
)
def test_promising(rows: pareto.Rows, found: list[str], reason: str) -> None:
    assert pareto.promising(rows) == found, reason


def test_it_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pareto, "RESULTS", tmp_path / "pareto.json")
    specs = dict.fromkeys("abc")
    state: dict[str, Any] = {"rows": {"a": {"kept": 1}}, "seconds": {"float": [3600, 1800]}}

    def step(key: str, _: Any) -> dict[str, Any]:
        if key == "c":
            raise KeyboardInterrupt
        return {"float_ap": 1.0}

    with pytest.raises(KeyboardInterrupt):
        pareto._measure("float", ["a", "b", "c"], step, specs, state)  # type: ignore[arg-type]
    kept = read_rows(tmp_path / "pareto.json")
    assert kept["rows"] == {"a": {"kept": 1, "float_ap": 1.0}, "b": {"float_ap": 1.0}}
    assert len(kept["seconds"]["float"]) == 4
    assert "float: 3 left, about 2.2 hours; now a" in capsys.readouterr().err
