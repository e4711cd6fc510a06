"""`python -m benchmarks.fine_tuning PHOTOGRAPHS`: what `--qat` came to, run by run.

Each run builds, measures AP of the network in float before and after, and of the file with and
without fine-tuning in LiteRT. It writes results/fine_tuning.json, docs/fine-tuning.md's tables and
its picture. A run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.builds import python, read_rows, write_rows
from benchmarks.markdown import render_csv, replace_block, table
from data.names import ROOT
from evaluation.figures import save
from runtime.image import list_images

RESULTS = ROOT / "benchmarks" / "results" / "fine_tuning.json"
SMALL = ROOT / "benchmarks" / "results" / "fine_tuning_small.csv"
TRIALS = ROOT / "benchmarks" / "results" / "fine_tuning_trials.csv"
DOCUMENT = ROOT / "docs" / "fine-tuning.md"
_PLOT = ROOT / "docs" / "fine-tuning.svg"
_SCRATCH = ROOT / "build" / "benchmark-fine-tuning"
_MODEL = "nanodet-m-0.5x"
_FIGURES = ("AP", "AP50", "APm", "APl")


@dataclass(frozen=True)
class _Run:
    """options: of recipe.sh, beside those that all runs share. rate: factor of both phases' rates,
    which no option changes."""

    options: str
    rate: float = 1.0

    @property
    def shown(self) -> str:
        rate = "" if self.rate == 1 else f", rates times {self.rate:g}"
        return f"`recipe.sh {self.options}`{rate}"


_RUNS = {
    "own detections": _Run("--strides 32 --qat-epochs 2"),
    "tenfold rate": _Run("--strides 32 --qat-epochs 2", rate=10.0),
    "larger teacher": _Run("--strides 32 --qat-epochs 6 --teacher nanodet-plus-m-1.5x-416"),
    "ReLU6": _Run("--strides 8,16,32 --qat-epochs 12 --activation relu6"),
}


def measure(name: str, photographs: Sequence[Path]) -> dict[str, Any]:
    """A row of one run."""
    folder, out = _SCRATCH / f"{len(photographs)}", _SCRATCH / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    for path in photographs:
        if not (link := folder / path.name).exists():
            link.symlink_to(path.resolve())
    run, scores = _RUNS[name], out / "float.json"
    words = ["--model", _MODEL, *run.options.split(), "--qat", str(folder), "--out", str(out)]
    # 4: the file without fine-tuning is published.
    python("-m", "benchmarks.float_phase", str(scores), str(run.rate), *words, codes=(0, 4))
    (report,) = out.glob("build/*/report.json")
    in_float = read_rows(scores)
    return {
        "options": run.shown,
        "photographs": len(photographs),
        **read_rows(report)["fine_tuning"],
        "val500": {
            **{
                when: {f: in_float[when][f] for f in _FIGURES}
                for when in ("before", "last", "kept")
            },
            **{
                file: _figures(report.with_name(f"{file}.tflite")) for file in ("plain", "quantize")
            },
        },
    }


def _figures(model: Path) -> dict[str, float]:
    scores = model.with_suffix(".json")
    python("evaluate.py", str(model), "--json", str(scores))
    found = read_rows(scores)
    return {figure: found[figure] for figure in _FIGURES}


def render(rows: dict[str, Any]) -> str:
    """The table of runs in Markdown."""
    header = ("run", "minutes", "memory, GiB", "float, %", "int8, %", "with / without, %",
              "published", "AP in float, before / last epoch", "medium",
              "AP in int8, without / with", "medium")  # fmt: skip
    return table(header, [_line(name, rows[name]) for name in _RUNS if name in rows])


def _line(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    judged, val500 = row["compared"], row["val500"]
    sign = "\N{PLUS-MINUS SIGN}"
    with_, without = ("-", "-") if not judged["boxes"] else (
        f"{judged['tuned']:.2f}", f"{judged['plain']:.2f} {sign} {judged['standard_error']:.2f}"
    )  # fmt: skip
    pairs = [
        f"{val500[one][figure]:.2f} / {val500[other][figure]:.2f}"
        for one, other in (("before", "last"), ("plain", "quantize"))
        for figure in ("AP", "APm")
    ]
    return (
        f"{name}: {row['options']}",
        f"{row['seconds'] / 60:.0f}",
        f"{row['peak_memory_bytes'] / 2**30:.1f}",
        _curve(row["float"]),
        _curve(row["int8"]),
        f"{with_} / {without}",
        "yes" if row["published"] else "no",
        *pairs,
    )


def plot(rows: dict[str, Any], path: Path) -> None:
    """Agreement by epoch, in each phase of each run."""
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    phases = {"float": "in float", "int8": "with int8 rounding in place"}
    for axes, (phase, title) in zip(figure.subplots(1, 2), phases.items(), strict=True):
        for name in (name for name in _RUNS if name in rows):
            curve = rows[name][phase] or ()
            axes.plot(range(len(curve)), curve, marker=".", label=name)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("agreement on pictures held out, %")
        axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    save(figure, path)


def _curve(values: Sequence[float | None] | None) -> str:
    return " ".join("-" if v is None else f"{v:.2f}" for v in values or ())


def main() -> None:
    """Run, write, render."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("photographs", type=Path, metavar="PHOTOGRAPHS", help="a folder")
    add("--runs", nargs="+", choices=_RUNS, default=list(_RUNS), help="default all")
    add("--every", type=int, default=1, metavar="N", help="one photograph of N alone")
    options = parser.parse_args()
    photographs = list_images(options.photographs)[:: options.every]
    rows = read_rows(RESULTS)
    for name in options.runs:
        rows[name] = measure(name, photographs)
        write_rows(RESULTS, rows)
    plot(rows, _PLOT)
    replace_block(DOCUMENT, "runs", render(rows))
    replace_block(DOCUMENT, "small", render_csv(SMALL))
    replace_block(DOCUMENT, "trials", render_csv(TRIALS))


if __name__ == "__main__":
    main()
