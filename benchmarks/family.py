"""The table of the whole family: `python -m benchmarks.family`.

Builds every variant whose weights are at hand, evaluates it in float and int8, measures its
latency beside ONNX Runtime's, and writes results/family.json and the table in README.md.
Figures of a file that has not changed are kept, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import assets
from benchmarks import builds
from benchmarks.builds import python, read_report
from benchmarks.markdown import replace_block, table
from benchmarks.networks import in_turns, litert, onnx_runtime
from pipeline.names import ROOT, onnx_path, tflite_path, work_folder
from runtime.files import write_text
from runtime.spec import ModelSpec

RESULTS = ROOT / "benchmarks" / "results" / "family.json"
README = ROOT / "README.md"
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
_FLOAT = ("torch", "onnx")
_MCU_STRIDES = {"nanodet-m-0.5x": ((32,), (16, 32))}


def variants() -> list[ModelSpec]:
    """Every variant with weights at hand: some for microcontrollers, then all strides."""
    specs = []
    for path in sorted((ROOT / "models").glob("*.yaml")):
        spec = assets.model_spec(path.stem)
        source = spec.weights
        if spec.dataset != "coco":
            continue
        if source is None or not any(
            (folder / "weights" / source.file).is_file() for folder in assets.data_folders()
        ):
            print(f"{spec.name}: no weights at hand, left out", file=sys.stderr)
            continue
        for strides in (*_MCU_STRIDES.get(spec.name, ()), spec.architecture.strides):
            specs.append(spec.with_strides(strides))
    return specs


def build(spec: ModelSpec, known: dict[str, Any]) -> dict[str, Any]:
    """Build one variant; figures of `known` stay where the files they belong to are the same."""
    options = _options(spec)
    python("-m", "pipeline", *options, "--target", _target(spec))
    python("-m", "pipeline", *options, "--stop-after", "onnx")
    report = read_report(work_folder(spec, ROOT))
    row: dict[str, Any] = {
        "model": spec.name,
        "strides": options[-1],
        "target": _target(spec),
        "bytes": report["tflite"]["bytes"],
        "sha256": report["tflite"]["sha256"],
        "operators": sum(report["tflite"]["operators"].values()),
        "arena_bytes": report["arena_bytes"],
        "weights_sha256": report["weights"]["sha256"],
        "ap": {},
    }
    for engine, figures in known.get("ap", {}).items():
        key = "weights_sha256" if engine in _FLOAT else "sha256"
        if known.get(key) == row[key]:
            row["ap"][engine] = figures
    return row


def evaluate(spec: ModelSpec, engine: str, threads: int) -> dict[str, float]:
    """AP, AP50 and AP75 in percent, by evaluate.py."""
    files = {"torch": _options(spec), "onnx": [str(onnx_path(spec, ROOT, "plain"))]}
    scores = work_folder(spec, ROOT) / f"{engine}.json"
    model = files.get(engine, [str(tflite_path(spec, ROOT))])
    return builds.evaluate(scores, *model, "--engine", engine, threads=threads)


def _options(spec: ModelSpec) -> list[str]:
    return ["--model", spec.name, "--strides", ",".join(str(s) for s in spec.graph.strides)]


def _target(spec: ModelSpec) -> str:
    return "linux" if spec.graph.strides == spec.architecture.strides else "mcu"


def latencies(tflite: Path, onnx: Path) -> tuple[float, float]:
    """Median milliseconds on one thread, in turns: int8 in LiteRT, float in ONNX Runtime."""
    return in_turns(litert(tflite), onnx_runtime(onnx), _RUNS)


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


def update(rows: dict[str, Any], engines: list[str], jobs: int, models: list[str]) -> None:
    """Fill `rows` in, by file stem; what is done is written at once.

    models: names of the models to measure; none for all.
    """
    specs = {spec.file_stem: spec for spec in variants() if not models or spec.name in models}
    for stem, spec in specs.items():
        rows[stem] = build(spec, rows.get(stem, {}))
        _save(rows)
    with ThreadPoolExecutor(jobs) as pool:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        running = {
            pool.submit(evaluate, spec, engine, threads): (stem, engine)
            for stem, spec in specs.items()
            for engine in engines
            if engine not in rows[stem]["ap"]
        }
        for done in as_completed(running):
            stem, engine = running[done]
            rows[stem]["ap"][engine] = done.result()
            _save(rows)
    for stem, spec in specs.items():
        times = latencies(tflite_path(spec, ROOT), onnx_path(spec, ROOT, "plain"))
        rows[stem]["latency_ms"], rows[stem]["onnxruntime_ms"] = times
        _save(rows)


def _save(rows: dict[str, Any]) -> None:
    write_text(RESULTS, json.dumps(rows, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Measure, write, render."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--engines", default="torch,onnx,litert,tflm", help="default %(default)s")
    add("--models", type=lambda text: text.split(","), default=[], help="only these, e.g. A,B")
    add("--jobs", type=int, default=1, help="evaluations at once, default %(default)s")
    add("--render", action="store_true", help="only write the table anew")
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    if RESULTS.exists():
        rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    if not options.render:
        update(rows, options.engines.split(","), options.jobs, options.models)
    replace_block(README, "family", render([rows[stem] for stem in sorted(rows)]))


if __name__ == "__main__":
    main()
