"""`python -m benchmarks.ablation`: what each quantization method brings, and where AP goes.

Builds NanoDet-m-0.5x with all strides, method by method, evaluates it, and writes the table and the
waterfalls' plots in docs/quantization.md. Figures of a file that has not changed are kept.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.builds import evaluate, python, read_report
from benchmarks.markdown import replace_block, table
from data.names import DEFAULT_MODEL, ROOT, tflite_path, variant, work_folder
from quantize import METHODS
from runtime.files import write_text

DOCUMENT = ROOT / "docs" / "quantization.md"
_FOLDER = ROOT / "build" / "ablation"
_STATE = _FOLDER / "figures.json"
_STRIDES = (8, 16, 32)
_ENGINES = ("litert", "tflm")
_WAYS = {
    "none (min/max)": (),
    "ranges": ("ranges",),
    "equalize": ("equalize",),
    "ranges, equalize": ("ranges", "equalize"),
    "reconstruct": ("reconstruct",),
    "all": METHODS,
}
_WATERFALLS = {(32,): "mcu", (16, 32): "mcu", (8, 16, 32): "linux"}


def measure(methods: tuple[str, ...], known: dict[str, Any]) -> dict[str, Any]:
    """AP and AP75 by engine; `known` is the row as it was."""
    spec = variant(DEFAULT_MODEL, _STRIDES)
    left_out = [name for name in METHODS if name not in methods]
    options = ["--without", ",".join(left_out)] if left_out else []
    python("-m", "pipeline", "--target", "linux", *options, "--out", str(_FOLDER))
    report = read_report(work_folder(spec, _FOLDER))
    sha256 = report["tflite"]["sha256"]
    if known.get("sha256") == sha256:
        return known
    stages = {stage["name"]: stage["wall_s"] for stage in report["stages"]}
    row: dict[str, Any] = {"sha256": sha256, "seconds": stages["quantize"]}
    model = str(tflite_path(spec, _FOLDER))
    for engine in _ENGINES:
        row[engine] = evaluate(_FOLDER / "scores.json", model, "--engine", engine)
    return row


def render(rows: dict[str, dict[str, Any]]) -> str:
    """The table in Markdown."""
    cells = [
        (
            name,
            *(f"{row[engine][f]:.2f}" for engine in _ENGINES for f in ("AP", "AP75")),
            f"{row['seconds']:.0f}",
        )
        for name, row in rows.items()
    ]
    header = ("methods", "AP LiteRT", "AP75", "AP TFLM", "AP75", "seconds")
    return table(header, cells)


def waterfall(strides: tuple[int, ...], target: str) -> None:
    """Build and draw where AP goes."""
    chosen = ["--strides", ",".join(map(str, strides)), "--target", target]
    python("-m", "pipeline", *chosen, "--out", str(_FOLDER))
    spec = variant(DEFAULT_MODEL, strides)
    model, plot = tflite_path(spec, _FOLDER), ROOT / "docs" / f"waterfall_{spec.file_stem}.svg"
    python("nanodet", "waterfall", str(model), "--plot", str(plot))


def main() -> None:
    """Measure, write, draw."""
    rows = json.loads(_STATE.read_text(encoding="utf-8")) if _STATE.is_file() else {}
    for name, methods in _WAYS.items():
        rows[name] = measure(methods, rows.get(name, {}))
        write_text(_STATE, json.dumps(rows, indent=1) + "\n")
    replace_block(DOCUMENT, "ablation", render({name: rows[name] for name in _WAYS}))
    for strides, target in _WATERFALLS.items():
        waterfall(strides, target)


if __name__ == "__main__":
    main()
