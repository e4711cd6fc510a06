"""The table of the whole family: `python -m benchmarks.family`.

Builds every variant whose weights are at hand, evaluates it in float and int8, measures its
latency beside ONNX Runtime's, and writes results/family.json, the table in README.md and those of
int8's losses in docs/quantization.md. Figures of a file that has not changed are kept, so an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks import builds
from benchmarks.builds import choice, listed, python, read_rows, write_rows
from benchmarks.markdown import replace_block, table
from benchmarks.networks import in_turns, litert, onnx_runtime
from data import locate
from data.names import ROOT, file_stem, onnx_path, tflite_path, work_folder
from evaluation.bootstrap import FIGURES
from runtime.spec import ModelSpec

RESULTS = ROOT / "benchmarks" / "results" / "family.json"
README = ROOT / "README.md"
LOSSES = ROOT / "docs" / "quantization.md"
_HEADER = (
    "model",
    "strides",
    "target",
    "AP float",
    "AP int8 LiteRT",
    "AP int8 TFLM",
    "file, bytes",
    "operators",
    "arena, bytes",
    "latency, ms",
    "of ONNX Runtime's",
)
_RUNS = 50
_FLOAT, _INT8 = ("torch", "onnx"), ("litert", "tflm")
_NAMES = {"litert": "LiteRT", "tflm": "TFLM"}
_LOSSES = ("AP", "AP75")
_MCU_STRIDES = {"nanodet-m-0.5x": ((32,), (16, 32))}


def variants() -> list[ModelSpec]:
    """Every variant with weights at hand: some for microcontrollers, then all strides."""
    specs = []
    for path in sorted((ROOT / "models").glob("*.yaml")):
        spec = locate.model_spec(path.stem)
        source = spec.weights
        if spec.dataset != "coco":
            continue
        if source is None or not any(
            (folder / "weights" / source.file).is_file() for folder in locate.data_folders()
        ):
            print(f"{spec.name}: no weights at hand, left out", file=sys.stderr)
            continue
        for strides in (*_MCU_STRIDES.get(spec.name, ()), spec.architecture.strides):
            specs.append(spec.with_strides(strides))
    return specs


def build(spec: ModelSpec, known: dict[str, Any], quantization: str = "int8") -> dict[str, Any]:
    """Build one variant; figures of `known` stay where the files they belong to are the same."""
    report = builds.build(spec, "--target", _target(spec), quantization=quantization)
    python("-m", "pipeline", *choice(spec), "--stop-after", "onnx")
    row: dict[str, Any] = {
        "model": spec.name,
        "strides": listed(spec),
        "target": _target(spec),
        "bytes": report["tflite"]["bytes"],
        "sha256": report["tflite"]["sha256"],
        "operators": sum(report["tflite"]["operators"].values()),
        "arena_bytes": report["arena_bytes"],
        "weights_sha256": report["weights"]["sha256"],
        "ap": {},
        "losses": {},
    }
    for engine, figures in known.get("ap", {}).items():
        if known.get(_key(engine)) == row[_key(engine)]:
            row["ap"][engine] = figures
    base = _base(row)
    for engine, losses in known.get("losses", {}).items():
        if base and engine in row["ap"] and known["ap"].get(base) == row["ap"][base]:
            row["losses"][engine] = losses
    return row


def evaluate(
    spec: ModelSpec, row: dict[str, Any], engine: str, threads: int, quantization: str = "int8"
) -> dict[str, float]:
    """AP, AP50 and AP75 in percent, by evaluate.py."""
    files = {"torch": choice(spec), "onnx": [str(onnx_path(spec, ROOT, "plain"))]}
    scores = work_folder(spec, ROOT, quantization) / f"{engine}.json"
    model = files.get(engine, [str(tflite_path(spec, ROOT, quantization))])
    found = ["--detections", str(_detections(spec, row, engine, quantization))]
    return builds.evaluate(scores, *model, "--engine", engine, *found, threads=threads)


def losses(
    spec: ModelSpec, row: dict[str, Any], engine: str, threads: int, quantization: str = "int8"
) -> dict[str, list[float]]:
    """Of int8 in an engine against float: change of each figure in percent, standard error."""
    files = [str(_detections(spec, row, e, quantization)) for e in (_base(row), engine)]
    out = work_folder(spec, ROOT, quantization) / f"compare_{engine}.json"
    python("nanodet", "compare", *files, "--json", str(out), threads=threads)
    return {
        name: [round(figure["other"] - figure["base"], 4), figure["standard_error"]]
        for name, figure in read_rows(out).items()
    }


def _base(row: dict[str, Any]) -> str:
    """The float engine that was measured, the network as trained before the lowered one."""
    return next((engine for engine in _FLOAT if engine in row["ap"]), "")


def _key(engine: str) -> str:
    """Field of a row that says which file an engine runs."""
    return "weights_sha256" if engine in _FLOAT else "sha256"


def _detections(spec: ModelSpec, row: dict[str, Any], engine: str, quantization: str) -> Path:
    folder = work_folder(spec, ROOT, "int8" if engine in _FLOAT else quantization)
    return folder / f"detections_{engine}_{row[_key(engine)][:12]}.json"


def needed(
    spec: ModelSpec, row: dict[str, Any], engines: Sequence[str], quantization: str = "int8"
) -> list[str]:
    """Engines without figures, and those whose detections are gone but still to be compared."""
    without = [engine for engine in engines if engine not in row["ap"]]
    open_ = [engine for engine in _INT8 if engine in engines and engine not in row["losses"]]
    compared = [_base(row), *open_] if open_ and _base(row) else []
    there = (e for e in compared if e not in without)
    gone = [e for e in there if not _detections(spec, row, e, quantization).is_file()]
    return without + gone


def _target(spec: ModelSpec) -> str:
    return "linux" if spec.graph.strides == spec.architecture.strides else "mcu"


def render(rows: list[dict[str, Any]]) -> str:
    """The table in Markdown."""

    def ap(row: dict[str, Any], *engines: str) -> str:
        found = [row["ap"][e]["AP"] for e in engines if e in row["ap"]]
        return f"{found[0]:.2f}" if found else "-"

    return table(
        _HEADER,
        [
            (
                row["model"],
                row["strides"],
                row["target"],
                ap(row, "torch", "onnx"),
                ap(row, "litert"),
                ap(row, "tflm"),
                f"{row['bytes']:,}",
                str(row["operators"]),
                f"{row['arena_bytes']:,}",
                f"{row['latency_ms']:.1f}",
                f"{row['latency_ms'] / row['onnxruntime_ms']:.2f}",
            )
            for row in rows
        ],
    )


def loss(row: dict[str, Any], engine: str, figure: str) -> str:
    """A cell of the table: the change with its standard error."""
    if engine not in row["losses"]:
        return "-"
    change, error = row["losses"][engine][figure]
    return f"{change:+.2f} \N{PLUS-MINUS SIGN} {error:.2f}"


def render_losses(rows: list[dict[str, Any]]) -> str:
    """The table of int8's losses in Markdown."""
    columns = [(engine, figure) for figure in _LOSSES for engine in _INT8]
    lines = [(row["model"], row["strides"], *(loss(row, *c) for c in columns)) for row in rows]
    known = [row["losses"] for row in rows if all(e in row["losses"] for e in _INT8)]
    if known:
        means = (fmean(losses[e][figure][0] for losses in known) for e, figure in columns)
        lines.append(("mean", "", *(f"{mean:+.2f}" for mean in means)))
    header = ("model", "strides", *(f"{figure} {_NAMES[engine]}" for engine, figure in columns))
    return table(header, lines)


def render_by_iou(rows: list[dict[str, Any]]) -> str:
    """The losses at each IoU that makes a match, over the models, in Markdown."""
    names = FIGURES[1:]
    lines = []
    for engine in _INT8:
        known = [row["losses"][engine] for row in rows if engine in row["losses"]]
        if len(known) < 2:
            continue
        changes = [[losses[name][0] for losses in known] for name in names]
        means, deviations = map(fmean, changes), map(stdev, changes)
        lines.append((f"mean, {_NAMES[engine]}", *(f"{mean:+.2f}" for mean in means)))
        lines.append(("standard deviation", *(f"{deviation:.2f}" for deviation in deviations)))
    return table(("", *names), lines)


def update(rows: dict[str, Any], engines: list[str], jobs: int, models: list[str]) -> None:
    """Fill `rows` in, by file stem; what is done is written at once.

    models: names of the models to measure; none for all.
    """
    specs = {file_stem(spec): spec for spec in variants() if not models or spec.name in models}
    for stem, spec in specs.items():
        rows[stem] = build(spec, rows.get(stem, {}))
        _save(rows)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    _fill(rows, "ap", jobs, {
        (stem, engine): partial(evaluate, spec, rows[stem], engine, threads)
        for stem, spec in specs.items()
        for engine in needed(spec, rows[stem], engines)
    })  # fmt: skip
    _fill(rows, "losses", jobs, {
        (stem, engine): partial(losses, spec, rows[stem], engine, threads)
        for stem, spec in specs.items()
        for engine in _INT8
        if _base(rows[stem]) and engine in rows[stem]["ap"] and engine not in rows[stem]["losses"]
    })  # fmt: skip
    for stem, spec in specs.items():
        own, peer = litert(tflite_path(spec, ROOT)), onnx_runtime(onnx_path(spec, ROOT, "plain"))
        times = in_turns(own, peer, _RUNS)
        rows[stem]["latency_ms"], rows[stem]["onnxruntime_ms"] = times
        _save(rows)


def _fill(
    rows: dict[str, Any],
    column: str,
    jobs: int,
    tasks: dict[tuple[str, str], Callable[[], dict[str, Any]]],
) -> None:
    """Run tasks by file stem and engine, so many at once; each result is saved as it comes."""
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(task): place for place, task in tasks.items()}
        for done in as_completed(running):
            stem, engine = running[done]
            rows[stem][column][engine] = done.result()
            _save(rows)


def _save(rows: dict[str, Any]) -> None:
    write_rows(RESULTS, rows, sort_keys=True)


def main() -> None:
    """Measure, write, render."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--engines", default="torch,onnx,litert,tflm", help="default %(default)s")
    add("--models", type=lambda text: text.split(","), default=[], help="only these, e.g. A,B")
    add("--jobs", type=int, default=1, help="evaluations at once, default %(default)s")
    add("--render", action="store_true", help="only write the table anew")
    options = parser.parse_args()
    rows = read_rows(RESULTS)
    if not options.render:
        update(rows, options.engines.split(","), options.jobs, options.models)
    ordered = [rows[stem] for stem in sorted(rows)]
    replace_block(README, "family", render(ordered))
    replace_block(LOSSES, "losses", render_losses(ordered))
    replace_block(LOSSES, "by-iou", render_by_iou(ordered))


if __name__ == "__main__":
    main()
