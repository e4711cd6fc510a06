"""`./nanodet doctor MODEL --target NAME`: what will go wrong on a board.

Before anything is flashed: what runs each operator, known traps, memory, and the latency to expect,
of any TFLite file. Exit code 4 where a finding is an error.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from firmware.engine import DEFAULT, ENGINES
from runtime.cli import Parser, printable
from runtime.errors import GateFailed, KitError
from runtime.files import write_text

SEVERITIES = ("error", "warning", "note")
# By target, the module of `analysis.rules`.
NPUS = {
    "imx8mp-npu": "imx8mp",
    "imx93-npu": "imx93",
    "imx95-npu": "neutron",
    "imxrt700-npu": "neutron",
    "mcxn947-npu": "neutron",
}
_WIDTH = 100
_INDENT = 12
_LEAST_MS = 0.1


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL.tflite")
    add("--target", required=True, metavar="NAME", help=f"a microcontroller, or {', '.join(NPUS)}")
    add("--engine", choices=ENGINES, help=f"default {DEFAULT}, of files made by others tflm")
    add("--json", type=Path, metavar="OUT", help="write everything here, too")
    add("--nodes", action="store_true", help="what runs every single operator")
    add("--boards", type=Path, metavar="DIR", help="folder with more profiles")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Examine and print; exit code 4 where a finding is an error."""
    options = parse_arguments(words)
    found = diagnose(options.model, options.target, options.boards, options.engine)
    print(render(found, options.nodes))
    if options.json is not None:
        write_text(options.json, json.dumps(found, indent=1) + "\n")
    errors = sum(finding["severity"] == "error" for finding in found["findings"])
    return GateFailed.exit_code if errors else 0


def diagnose(
    model: Path, target: str, boards: Path | None = None, engine: str | None = None
) -> dict[str, Any]:
    """Everything about a file on a target, as JSON's types. Raises `KitError` for a file that is
    no TFLite file, an unknown target, or a missing compiler."""
    from analysis.diagnosis import Subject, near_peak
    from analysis.memory import memory
    from analysis.rules import common
    from runtime.tflite_graph import Graph

    graph = Graph.read(model)
    own = _is_own(graph.content)
    examine, board = _family(target, boards, engine, own)
    subject = Subject(model, graph, memory(graph), board, own)
    examination = examine(subject)
    flash, as_file = examination.flash_bytes, examination.flash_bytes is None
    findings = [f for rule in common.RULES if (f := rule(subject)) is not None]
    findings = sorted(
        [*examination.findings, *findings], key=lambda finding: SEVERITIES.index(finding.severity)
    )
    return {
        "model": model.name,
        "target": target,
        "board": board.title,
        "placements": [asdict(placement) for placement in examination.placements],
        "placement_basis": examination.basis,
        "arena": asdict(examination.arena) if examination.arena else None,
        "memory": list(examination.memory),
        "peaks": [asdict(moment) for moment in near_peak(subject.memory) if as_file],
        "flash_bytes": subject.memory.flash_bytes if as_file else flash,
        "constant_bytes": subject.memory.constant_bytes if as_file else None,
        "prediction": asdict(examination.prediction),
        "findings": [asdict(finding) for finding in findings],
    }


def _family(target: str, boards: Path | None, engine: str | None, own: bool) -> tuple[Any, Any]:
    """What examines a file for a target, and the board. own: the file is one of this kit's."""
    from analysis.rules import engine as own_engine
    from analysis.rules import imx8mp, imx93, microcontroller, neutron
    from runtime.benchmark.board import microcontrollers

    targets = microcontrollers(boards)
    for board in targets:
        if target in board.names:
            chosen = engine or (DEFAULT if own else "tflm")
            return (own_engine if chosen == "c" else microcontroller).examine, board
    if target not in NPUS:
        known = (*(board.name for board in targets), *NPUS)
        raise KitError(f"--target {target}: known are {', '.join(known)}")
    if engine is not None:
        raise KitError(f"--engine {engine}: goes with a microcontroller, not with {target}")
    family = {"imx8mp": imx8mp, "imx93": imx93, "neutron": neutron}[NPUS[target]]
    return family.examine, neutron.board_of(target.removesuffix("-npu"), boards)


def _is_own(content: bytes) -> bool:
    """Does the file carry this kit's spec?"""
    from runtime.tflite_file import TfliteFile

    try:
        TfliteFile.parse(content, "")
    except KitError:
        return False
    return True


def render(found: dict[str, Any], nodes: bool = False) -> str:
    """The same in words, for a console."""
    lines = [f"{found['model']} on {found['board']}, {found['target']}"]
    lines += _placements(found, nodes)
    lines += _memory(found)
    prediction = found["prediction"]
    latency = prediction["latency_ms"]
    least = "at least " if prediction["lower_bound"] else ""
    shown = "" if latency is None else f"{least}{_milliseconds(latency)}: "
    lines += _entry("latency", shown + prediction["basis"])
    if prediction["error"]:
        lines += _entry("", f"error: {prediction['error']}")
    for finding in found["findings"]:
        lines += ["", *_finding(finding)]
    counts = Counter(finding["severity"] for finding in found["findings"])
    totals = (f"{counts[s]} {s}{'' if counts[s] == 1 else 's'}" for s in SEVERITIES)
    lines += ["", ", ".join(totals)]
    return "\n".join(map(printable, lines))


def _milliseconds(latency: float) -> str:
    return f"{latency:.1f} ms" if latency >= _LEAST_MS else f"less than {_LEAST_MS} ms"


def _placements(found: dict[str, Any], nodes: bool) -> list[str]:
    placements = found["placements"]
    where = Counter(placement["where"] for placement in placements)
    counted = ", ".join(f"{count} {place}" for place, count in where.most_common())
    lines = _entry("operators", f"{len(placements)}: {counted} ({found['placement_basis']})")
    if nodes:
        for placement in placements:
            reason = f" ({placement['reason']})" if placement["reason"] else ""
            lines.append(
                f"{placement['position']:>{_INDENT - 2}}  {placement['operator']:<20} "
                f"{placement['where']}{reason}  {placement['output']}"
            )
        return lines
    places: dict[str, Counter[str]] = {}
    for placement in placements:
        reason = f" ({placement['reason']})" if placement["reason"] else ""
        places.setdefault(placement["where"] + reason, Counter())[placement["operator"]] += 1
    for place, kinds in places.items():
        shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        lines += _entry("", f"{place}: {shown}")
    return lines


def _memory(found: dict[str, Any]) -> list[str]:
    lines = []
    if found["arena"]:
        lines += _entry("arena", f"{found['arena']['bytes']:,} bytes, {found['arena']['basis']}")
    for line in found["memory"]:
        lines += _entry("" if lines else "memory", line)
    for place, peak in zip(("peak", "then"), found["peaks"]):
        tensors = " + ".join(f"{size:,} {name}" for name, size in peak["tensors"])
        at = f"{peak['bytes']:,} bytes of tensors at {peak['operator']}"
        lines += _entry(place, f"{at}: {tensors}")
    constants = found["constant_bytes"]
    of = (
        "weights, tables, plan and code"
        if constants is None
        else f"{constants:,} of them constants"
    )
    return [*lines, *_entry("flash", f"{found['flash_bytes']:,} bytes, {of}")]


def _finding(finding: dict[str, Any]) -> list[str]:
    lines = _entry(finding["severity"], f"[{finding['rule']}] {finding['what']}")
    lines += _entry("why", finding["why"])
    if finding["cure"]:
        lines += _entry("cure", finding["cure"])
    return [*lines, *_entry("source", finding["source"])]


def _entry(name: str, text: str) -> list[str]:
    """A name in the margin and a paragraph beside it."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"{name:<{_INDENT}}",
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
