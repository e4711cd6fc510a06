"""Tables between markers are what the committed results render to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    agreement,
    backbones,
    doctor,
    emulated,
    family,
    fine_tuning,
    linux_choices,
    pareto,
    peers,
    per_tensor,
    qat,
    rounding,
    stages,
)
from benchmarks.markdown import RESULTS, render_csv, replace_block
from pipeline.linux_budget import read_linux_choices
from tests.conftest import ROOT
from tests.docs.commands import documents

# Where results are written: the document shows what a function makes of them.
_RENDERED: dict[str, tuple[Path, Callable[[Any], str]]] = {
    "family": (family.RESULTS, lambda rows: family.render(_sorted(rows))),
    "losses": (family.RESULTS, lambda rows: family.render_losses(_sorted(rows))),
    "by-iou": (family.RESULTS, lambda rows: family.render_by_iou(_sorted(rows))),
    "agreement": (agreement.RESULTS, lambda rows: agreement.render(list(rows.values()))),
    "backbones": (backbones.RESULTS, backbones.render),
    "cpu-choices": (
        linux_choices.RESULTS,
        lambda rows: linux_choices.cpu_table(read_linux_choices(), rows[linux_choices.NXP]),
    ),
    "emulated": (emulated.RESULTS, emulated.counts),
    "emulated-ap": (emulated.RESULTS, emulated.precisions),
    "npu-choices": (
        linux_choices.RESULTS,
        lambda rows: linux_choices.npu_table(read_linux_choices(), rows[linux_choices.NXP]),
    ),
    "nxp": (doctor.NXP, doctor.render),
    "pareto": (pareto.RESULTS, lambda _: pareto.tables(pareto.read_choices())),
    "peers": (peers.RESULTS, peers.render),
    "per-tensor": (per_tensor.RESULTS, per_tensor.render),
    "qat": (qat.RESULTS, qat.render),
    "rounding": (rounding.RESULTS, rounding.render),
    "runs": (fine_tuning.RESULTS, fine_tuning.render),
    "stages": (stages.RESULTS, stages.render),
}
# Others are CSV files of the same name, or of these.
_CSV = {"small": fine_tuning.SMALL, "trials": fine_tuning.TRIALS}
_MARKED = [
    (path.relative_to(ROOT), name)
    for path in documents()
    for name in re.findall(r"^<!-- ([a-z0-9-]+) -->$", path.read_text("utf-8"), re.MULTILINE)
]


def _sorted(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [rows[stem] for stem in sorted(rows)]


@pytest.mark.parametrize(("document", "name"), _MARKED, ids=[name for _, name in _MARKED])
def test_table(document: Path, name: str, tmp_path: Path) -> None:
    if name in _RENDERED:
        results, render = _RENDERED[name]
        text = render(json.loads(results.read_text(encoding="utf-8")))
    else:
        text = render_csv(_CSV.get(name, RESULTS / f"{name}.csv"))
    copy = tmp_path / document.name
    copy.write_bytes((ROOT / document).read_bytes())
    replace_block(copy, name, text)
    assert copy.read_text() == (ROOT / document).read_text(), f"{document}: `{name}` is another"


def test_no_result_is_shown_nowhere() -> None:
    shown = {name for _, name in _MARKED}
    written = {path.stem for path in RESULTS.glob("*.csv")} - {p.stem for p in _CSV.values()}
    assert shown >= {*_RENDERED, *_CSV, *written}
    assert len(shown) == len(_MARKED)
