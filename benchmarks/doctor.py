"""`python -m benchmarks.doctor --nxp FILE MODEL.tflite ...`: the tables of docs/doctor.md.

FILE is NXP's int8 NanoDet-m-0.5x, stride 32, the standing example. Each MODEL is a file of this kit
that Vela compiles too: what `recipe.sh` makes, with and without `--target ethos-u65` and
`imx8mp-npu`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.doctor import NPUS, SEVERITIES, diagnose
from analysis.vela import Compiled, compile_model
from benchmarks.builds import write_rows
from benchmarks.markdown import RESULTS, publish, replace_block, table
from data.names import ROOT
from runtime.benchmark.board import microcontrollers
from runtime.tflite_file import TfliteFile

DOCUMENT = ROOT / "docs" / "doctor.md"
NXP = RESULTS / "nxp.json"
_TARGETS = ("imxrt1170", "imx8mp-npu", "imx93-npu", "imx95-npu")
_ALL_TARGETS = (*(board.name for board in microcontrollers()), *NPUS)
_STRIDES = "32"


def vela(nxp: Path, models: Sequence[Path]) -> None:
    """Write Vela's estimates side by side."""
    peer = compile_model(nxp)
    rows = [_row("NXP's", _STRIDES, peer, peer)]
    for model in models:
        strides = ",".join(str(s) for s in TfliteFile.read(model).spec.graph.strides)
        rows.append(_row(f"`{model.name}`", strides, compile_model(model), peer))
    header = ("file", "strides", f"Vela {peer.version}, ms", "of NXP's", "on the CPU", "DRAM, KiB")
    publish(DOCUMENT, "vela", header, rows)


def _row(name: str, strides: str, found: Compiled, peer: Compiled) -> tuple[str, ...]:
    ratio = found.latency_ms / peer.latency_ms
    kib = f"{found.dram_bytes // 1024:,}"
    return name, strides, f"{found.latency_ms:.2f}", f"{ratio:.2f}", str(len(found.cpu)), kib


def findings(found: dict[str, Any]) -> dict[str, Any]:
    """What the doctor finds on one target: a line, and the rows of a table."""
    prediction = found["prediction"]
    latency = prediction["latency_ms"]
    least = "at least " if prediction["lower_bound"] else ""
    shown = "not predicted" if latency is None else f"{least}{latency:.1f} ms predicted"
    arena = f"arena {found['arena']['bytes']:,} bytes, " if found["arena"] else ""
    peak = found["peaks"][0]
    rows = [(f["severity"], f["what"], f["why"], f["cure"]) for f in found["findings"]]
    line = (
        f"`--target {found['target']}`: {arena}{peak['bytes']:,} bytes of tensors at "
        f"{peak['operator']}; {shown}."
    )
    return {"line": line, "rows": rows}


def render(targets: Sequence[dict[str, Any]]) -> str:
    """What the doctor finds on each target, in Markdown."""
    header = ("", "what", "why", "cure")
    return "\n\n".join(f"{t['line']}\n\n{table(header, t['rows'])}" for t in targets)


def counts(models: Sequence[Path]) -> None:
    """Write how many findings of each severity files of this kit get on each target."""
    rows = []
    for model in models:
        diagnoses = [diagnose(model, target) for target in _ALL_TARGETS]
        found = [Counter(f["severity"] for f in d["findings"]) for d in diagnoses]
        rows.append(
            (f"`{model.name}`", *(" / ".join(str(c[s]) for s in SEVERITIES) for c in found))
        )
    publish(DOCUMENT, "own", ("errors / warnings / notes", *_ALL_TARGETS), rows)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nxp", type=Path, required=True, metavar="FILE")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    options = parser.parse_args()
    vela(options.nxp, options.models)
    found = [findings(diagnose(options.nxp, target)) for target in _TARGETS]
    write_rows(NXP, found)
    replace_block(DOCUMENT, "nxp", render(found))
    counts(options.models)


if __name__ == "__main__":
    main()
