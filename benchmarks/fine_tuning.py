"""`python -m benchmarks.fine_tuning PHOTOGRAPHS`: what `--qat` came to, run by run.

Each run builds, measures AP of the file with and without fine-tuning in LiteRT, and writes
results/fine_tuning.json and docs/fine-tuning.md's tables. A run that was interrupted goes on where
it stopped, and one that is finished is not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.builds import build, python, read_rows, write_rows
from benchmarks.markdown import render_csv, replace_block, table
from data.names import ROOT, variant, work_folder
from runtime.image import list_images

RESULTS = ROOT / "benchmarks" / "results" / "fine_tuning.json"
SMALL = ROOT / "benchmarks" / "results" / "fine_tuning_small.csv"
TRIALS = ROOT / "benchmarks" / "results" / "fine_tuning_trials.csv"
DOCUMENT = ROOT / "docs" / "fine-tuning.md"
_SCRATCH = ROOT / "build" / "benchmark-fine-tuning"
_MODEL, _STRIDES = "nanodet-m-0.5x", (32,)
_RUNS = {
    "own detections": ["--qat-epochs", "2"],
    "larger teacher": ["--qat-epochs", "6", "--teacher", "nanodet-plus-m-1.5x-416"],
}
_FIGURES = ("AP", "AP50", "APm", "APl")


def measure(name: str, photographs: Sequence[Path]) -> dict[str, Any]:
    """A row of one run."""
    folder, out = _SCRATCH / f"{len(photographs)}", _SCRATCH / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    for path in photographs:
        if not (link := folder / path.name).exists():
            link.symlink_to(path.resolve())
    spec = variant(_MODEL, _STRIDES)
    # 4: the file without fine-tuning is published.
    report = build(spec, "--qat", str(folder), *_RUNS[name], out=out, codes=(0, 4))
    return {
        "options": " ".join(_RUNS[name]),
        "photographs": len(photographs),
        **report["fine_tuning"],
        "val500": {
            file: _figures(work_folder(spec, out) / f"{file}.tflite")
            for file in ("plain", "quantize")
        },
    }


def _figures(model: Path) -> dict[str, float]:
    scores = model.with_suffix(".json")
    python("evaluate.py", str(model), "--json", str(scores))
    found = read_rows(scores)
    return {figure: found[figure] for figure in _FIGURES}


def render(rows: dict[str, Any]) -> str:
    """The table of runs in Markdown."""
    header = ("run", "photographs", "minutes", "memory, GiB", "float, %", "int8, %",
              "with / without, %", "published", "AP with / without", "medium")  # fmt: skip
    return table(header, [_line(name, row) for name, row in rows.items()])


def _line(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    judged, val500 = row["compared"], row["val500"]
    sign = "\N{PLUS-MINUS SIGN}"
    with_, without = ("-", "-") if not judged["boxes"] else (
        f"{judged['tuned']:.2f}", f"{judged['plain']:.2f} {sign} {judged['standard_error']:.2f}"
    )  # fmt: skip
    pairs = [f"{val500['quantize'][f]:.2f} / {val500['plain'][f]:.2f}" for f in ("AP", "APm")]
    return (
        f"{name}: `{row['options']}`",
        f"{row['images']:,} + {judged['pictures']:,}",
        f"{row['seconds'] / 60:.0f}",
        f"{row['peak_memory_bytes'] / 2**30:.1f}",
        _curve(row["float"]),
        _curve(row["int8"]),
        f"{with_} / {without}",
        "yes" if row["published"] else "no",
        *pairs,
    )


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
    replace_block(DOCUMENT, "runs", render(rows))
    replace_block(DOCUMENT, "small", render_csv(SMALL))
    replace_block(DOCUMENT, "trials", render_csv(TRIALS))


if __name__ == "__main__":
    main()
