"""Tables between markers are what the committed results render to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import agreement, family, fine_tuning, linux_choices, pareto, peers, qat, stages
from benchmarks.markdown import replace_block
from pipeline.linux_budget import read_linux_choices


def results(module: Any) -> Any:
    return json.loads(module.RESULTS.read_text(encoding="utf-8"))


def _family() -> list[dict[str, Any]]:
    rows = results(family)
    return [rows[stem] for stem in sorted(rows)]


def _on_linux(board: str) -> tuple[Path, Callable[[], str]]:
    render = {"imx93": linux_choices.npu_table, "imx8mp": linux_choices.cpu_table}[board]
    nxp = results(linux_choices)[linux_choices.NXP]
    return linux_choices.DOCUMENTS[board], lambda: render(read_linux_choices(), nxp)


_TABLES: dict[str, tuple[Path, Callable[[], str]]] = {
    "family": (family.README, lambda: family.render(_family())),
    "losses": (family.LOSSES, lambda: family.render_losses(_family())),
    "by-iou": (family.LOSSES, lambda: family.render_by_iou(_family())),
    "agreement": (agreement.DOCUMENT, lambda: agreement.render(list(results(agreement).values()))),
    "pareto": (pareto.DOCUMENT, lambda: pareto.tables(pareto.read_choices())),
    "npu-choices": _on_linux("imx93"),
    "cpu-choices": _on_linux("imx8mp"),
    "peers": (peers.DOCUMENT, lambda: peers.render(results(peers))),
    "qat": (qat.DOCUMENT, lambda: qat.render(results(qat))),
    "stages": (stages.DOCUMENT, lambda: stages.render(results(stages))),
    "small": (fine_tuning.DOCUMENT, lambda: fine_tuning.render_csv(fine_tuning.SMALL)),
    "trials": (fine_tuning.DOCUMENT, lambda: fine_tuning.render_csv(fine_tuning.TRIALS)),
}


@pytest.mark.parametrize("name", _TABLES)
def test_table(name: str, tmp_path: Path) -> None:
    document, render = _TABLES[name]
    copy = tmp_path / document.name
    copy.write_bytes(document.read_bytes())
    replace_block(copy, name, render())
    assert copy.read_text() == document.read_text(), f"{document}: the table `{name}` is another"
