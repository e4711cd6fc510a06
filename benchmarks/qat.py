"""`python -m benchmarks.qat`: what each way to int8 leaves of the embedded model's AP.

Plain min/max, post-training quantization and quantization-aware fine-tuning on 2,000 generated
scenes; all strides, and the coarsest alone. Writes results/qat.json and the table in
docs/results.md.
"""

from __future__ import annotations

from typing import Any

from benchmarks.builds import build, evaluate, listed, write_rows
from benchmarks.markdown import replace_block, table
from data.names import EMBEDDED_MODEL, ROOT, variant, work_folder
from data.shapes.dataset import write_set

RESULTS = ROOT / "benchmarks" / "results" / "qat.json"
DOCUMENT = ROOT / "docs" / "results.md"
_SCRATCH = ROOT / "build" / "benchmark-qat"
_STRIDES = ((8, 16, 32), (32,))
_SCENES, _FIRST_SCENE = 2000, 1_000_000
_WAYS = {
    "min/max": ["--fast"],
    "post-training": [],
    "fine-tuned": ["--qat", str(_SCRATCH / "scenes" / "images")],
}


def measure() -> list[dict[str, Any]]:
    """A row for each choice of strides and way."""
    if not (_SCRATCH / "scenes" / "annotations.json").is_file():
        write_set(_SCRATCH / "scenes", _SCENES, 320, 320, _FIRST_SCENE)
    rows = []
    for strides in _STRIDES:
        spec = variant(EMBEDDED_MODEL, strides)
        for way, options in _WAYS.items():
            out = _SCRATCH / way.replace("/", "")
            # 4: the file that agrees less with the float network is measured, but not published.
            build(spec, *options, out=out, codes=(0, 4))
            row: dict[str, Any] = {"strides": listed(spec), "way": way}
            model = str(work_folder(spec, out) / "quantize.tflite")
            for engine in ("torch", "litert", "tflm"):
                cut = ["--strides", listed(spec)] if engine == "torch" else []
                scores = evaluate(out / "scores.json", model, "--engine", engine, *cut)
                row[engine] = scores["AP"]
            rows.append(row)
            write_rows(RESULTS, rows)
    return rows


def render(rows: list[dict[str, Any]]) -> str:
    """The table in Markdown."""
    header = ("strides", "quantization", "AP float, as cut", "LiteRT", "TFLM")
    engines = ("torch", "litert", "tflm")
    return table(
        header, [(r["strides"], r["way"], *(f"{r[e]:.2f}" for e in engines)) for r in rows]
    )


if __name__ == "__main__":
    replace_block(DOCUMENT, "qat", render(measure()))
