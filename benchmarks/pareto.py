"""`python -m benchmarks.pareto`: what input size and strides cost and bring on a microcontroller.

Builds NanoDet-m-0.5x for every combination, evaluates it in TFLite Micro, and writes
models/mcu_choices.csv, from which `--budget-arena` and `--budget-ms` choose, and docs/pareto.svg.
Figures of a file that has not changed are kept.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.builds import evaluate, python, read_report, read_rows, write_rows
from data.names import (
    ROOT,
    parse_strides,
    tflite_path,
    variant,
    with_input_size,
    work_folder,
)
from evaluation.figures import save
from pipeline.budget import CHOICES, ENGINE_FIELDS, Choice, read_choices
from runtime.files import write_text

_MODEL = "nanodet-m-0.5x"
_SIZES = (320, 288, 256, 224, 192)
_STRIDES = ("32", "16,32", "8,16,32")
_STATE = ROOT / "build" / "pareto.json"
_FIELDS = (
    *("model", "input_size", "strides", "ap", "arena_bytes", "leaky_relus", "instructions"),
    *ENGINE_FIELDS,
)
_PLOT = ROOT / "docs" / "pareto.svg"


def measure(size: int, strides: str, known: dict[str, Any]) -> dict[str, Any]:
    """One row of the table; `known` is the row as it was, whose AP holds for the same file."""
    out = ROOT / "build" / "pareto"
    chosen = ["--model", _MODEL, "--input-size", str(size), "--strides", strides]
    python("-m", "pipeline", *chosen, "--out", str(out))
    spec = with_input_size(variant(_MODEL, parse_strides(strides)), size, size)
    report = read_report(spec, out)
    row = {
        "model": _MODEL,
        "input_size": size,
        "strides": strides,
        "arena_bytes": report["arena_bytes"],
        "leaky_relus": report["tflite"]["operators"].get("LEAKY_RELU", 0),
        "instructions": report["cortex_m7"]["instructions"],
        **{name: report["engine"].get(name.removeprefix("engine_"), "") for name in ENGINE_FIELDS},
        "bytes": report["tflite"]["bytes"],
        "sha256": report["tflite"]["sha256"],
    }
    if known.get("sha256") == row["sha256"]:
        return {**row, "ap": known["ap"]}
    scores, model = work_folder(spec, out) / "tflm.json", str(tflite_path(spec, out))
    return {**row, "ap": round(evaluate(scores, model, "--engine", "tflm")["AP"], 2)}


def plot(choices: list[Choice], path: Path) -> None:
    """AP over instructions, a line for each choice of strides; the area is the arena."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for strides in _STRIDES:
        rows = [choice for choice in choices if choice.strides == strides]
        takes = [choice.takes["tflm"] for choice in rows]
        x, y = [one.instructions / 1e6 for one in takes], [c.ap for c in rows]
        areas = [one.arena_bytes / 4000 for one in takes]
        (line,) = axes.plot(x, y, linewidth=1, label=f"strides {strides}")
        axes.scatter(x, y, areas, color=line.get_color(), alpha=0.6)
        for choice, one in zip(rows, takes, strict=True):
            place = (one.instructions / 1e6, choice.ap)
            label = f"{choice.input_size}\n{one.arena_bytes / 1024:.0f} K"
            axes.annotate(label, place, (6, -14), textcoords="offset points", fontsize=7)
    axes.set_xlabel("instructions of an inference on a Cortex-M7, millions (predicted)")
    axes.set_ylabel("AP, int8 in TFLite Micro, %")
    axes.set_title("NanoDet-m-0.5x: input size and strides; area and K: arena")
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, path)


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", action="store_true", help="only draw anew")
    if not parser.parse_args().render:
        rows = read_rows(_STATE)
        for size in _SIZES:
            for strides in _STRIDES:
                key = f"{size}/{strides}"
                rows[key] = measure(size, strides, rows.get(key, {}))
                write_rows(_STATE, rows)
        text = io.StringIO()
        writer = csv.DictWriter(text, _FIELDS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        order = [f"{size}/{strides}" for strides in _STRIDES for size in _SIZES]
        writer.writerows(rows[key] for key in order)
        write_text(CHOICES, text.getvalue())
    plot(read_choices(), _PLOT)


if __name__ == "__main__":
    main()
