"""`python -m benchmarks.ablation`: what each quantization method brings, and where AP goes.

Builds NanoDet-m-0.5x with all strides, method by method, evaluates it, and writes the table and the
waterfalls' plots in docs/quantization.md. Figures of a file that has not changed are kept.
"""

from __future__ import annotations

from typing import Any

from benchmarks.builds import build, evaluate, python, read_rows, write_rows
from benchmarks.markdown import publish
from data.names import DEFAULT_MODEL, ROOT, file_stem, tflite_path, variant
from quantize import METHODS

DOCUMENT = ROOT / "docs" / "quantization.md"
_FOLDER = ROOT / "build" / "ablation"
_STATE = _FOLDER / "figures.json"
_STRIDES = (8, 16, 32)
_ENGINES = ("litert", "tflm")
_HEADER = ("methods", "AP LiteRT", "AP75", "AP TFLM", "AP75", "seconds")
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
    report = build(spec, "--target", "linux", *options, out=_FOLDER)
    sha256 = report["tflite"]["sha256"]
    if known.get("sha256") == sha256:
        return known
    stages = {stage["name"]: stage["wall_s"] for stage in report["stages"]}
    row: dict[str, Any] = {"sha256": sha256, "seconds": stages["quantize"]}
    model = str(tflite_path(spec, _FOLDER))
    for engine in _ENGINES:
        row[engine] = evaluate(_FOLDER / "scores.json", model, "--engine", engine)
    return row


def line(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table."""
    figures = (f"{row[engine][f]:.2f}" for engine in _ENGINES for f in ("AP", "AP75"))
    return name, *figures, f"{row['seconds']:.0f}"


def waterfall(strides: tuple[int, ...], target: str) -> None:
    """Build and draw where AP goes."""
    spec = variant(DEFAULT_MODEL, strides)
    build(spec, "--target", target, out=_FOLDER)
    model, plot = tflite_path(spec, _FOLDER), ROOT / "docs" / f"waterfall_{file_stem(spec)}.svg"
    python("nanodet", "waterfall", str(model), "--plot", str(plot))


def main() -> None:
    """Measure, write, draw."""
    rows = read_rows(_STATE)
    for name, methods in _WAYS.items():
        rows[name] = measure(methods, rows.get(name, {}))
        write_rows(_STATE, rows)
    publish(DOCUMENT, "ablation", _HEADER, [line(name, rows[name]) for name in _WAYS])
    for strides, target in _WATERFALLS.items():
        waterfall(strides, target)


if __name__ == "__main__":
    main()
