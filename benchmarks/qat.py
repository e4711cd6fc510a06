"""`python -m benchmarks.qat`: what each way to int8 leaves of the embedded model's AP.

Plain min/max, post-training quantization and quantization-aware fine-tuning on 2,000 generated
scenes; all strides, and the coarsest alone. Writes results/qat.json and the table in
docs/results.md.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.builds import evaluate, python
from benchmarks.markdown import replace_block, table
from data.names import EMBEDDED_MODEL, ROOT, variant, work_folder
from data.shapes.dataset import write_set
from runtime.files import write_text

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
        chosen = ["--model", EMBEDDED_MODEL, "--strides", ",".join(map(str, strides))]
        for way, options in _WAYS.items():
            out = _SCRATCH / way.replace("/", "")
            # 4: the file that agrees less with the float network is measured, but not published.
            python("-m", "pipeline", *chosen, *options, "--out", str(out), codes=(0, 4))
            row: dict[str, Any] = {"strides": chosen[-1], "way": way}
            model = str(work_folder(spec, out) / "quantize.tflite")
            for engine in ("torch", "litert", "tflm"):
                cut = chosen[2:] if engine == "torch" else []
                scores = evaluate(out / "scores.json", model, "--engine", engine, *cut)
                row[engine] = scores["AP"]
            rows.append(row)
            write_text(RESULTS, json.dumps(rows, indent=1) + "\n")
    return rows


def render(rows: list[dict[str, Any]]) -> str:
    """The table in Markdown."""
    header = ("strides", "quantization", "AP float, as cut", "LiteRT", "TFLM")
    cells = [
        (
            row["strides"],
            row["way"],
            *(f"{row[engine]:.2f}" for engine in ("torch", "litert", "tflm")),
        )
        for row in rows
    ]
    return table(header, cells)


if __name__ == "__main__":
    replace_block(DOCUMENT, "qat", render(measure()))
