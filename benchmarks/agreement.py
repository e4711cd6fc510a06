"""`python -m benchmarks.agreement PHOTOGRAPHS`: how far int8 files find what float finds.

On a folder of photographs without labels: the float network's detections from a score of 0.35 on,
with the strides of the file, stand for the boxes, and AP is that of the int8 file's detections in
LiteRT. Writes results/agreement.json and the table in docs/quantization.md. Files that have not
changed are not measured again, and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import family
from benchmarks.builds import evaluate, listed, python, read_rows, write_rows
from benchmarks.markdown import replace_block, table
from data import locate
from data.annotations import Results
from data.names import ROOT, file_stem, tflite_path, with_input_size
from evaluation.agreement import average_precision, standard_error
from evaluation.coco import CocoSet, indexed
from evaluation.shards import Job, detect_sharded
from pipeline.fingerprint import SOURCES, checksum, source_checksum
from runtime.detections import Detections
from runtime.detector import DISPLAY_THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS, SCORE_THRESHOLD
from runtime.errors import KitError
from runtime.image import list_images
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile

RESULTS = ROOT / "benchmarks" / "results" / "agreement.json"
DOCUMENT = ROOT / "docs" / "quantization.md"
_SCRATCH = ROOT / "build" / "benchmark-agreement"
_SETTINGS = SCORE_THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS
_SMALLER = {"nanodet-plus-m-320": (160, 192)}


def specs() -> list[ModelSpec]:
    """The family, and what fits microcontrollers better."""
    found = family.variants()
    for name, sizes in _SMALLER.items():
        spec = locate.model_spec(name)
        found += [with_input_size(spec, size, size) for size in sizes]
    return found


def detections(job: Job, photographs: Sequence[Path]) -> list[Detections]:
    """Of each photograph; goes on where it was interrupted, and keeps what is finished."""
    count, every = len(photographs), tuple(range(len(job.spec.classes)))
    path = _SCRATCH / f"{file_stem(job.spec)}_{job.engine}_{job.sha256[:12]}_{count}.json"
    if not path.is_file():
        entries = [{"id": i, "file_name": path.name} for i, path in enumerate(photographs)]
        coco = indexed({"images": entries, "categories": [], "annotations": []})
        images = CocoSet(photographs[0].parent, coco, tuple(range(count)), every)
        code = source_checksum(SOURCES["compare"])
        job = dataclasses.replace(job, category_ids=every)
        write_rows(path, detect_sharded(job, images, _SCRATCH, code))
    return _by_picture(json.loads(path.read_text(encoding="utf-8")), count, job.spec)


def _by_picture(results: Results, count: int, spec: ModelSpec) -> list[Detections]:
    found: list[Results] = [[] for _ in range(count)]
    for result in results:
        found[result["image_id"]].append(result)
    return [
        Detections(
            np.array([[x, y, x + w, y + h] for x, y, w, h in (r["bbox"] for r in one)], np.float32)
            .reshape(-1, 4),
            np.array([r["score"] for r in one], np.float32),
            np.array([r["category_id"] for r in one], np.int64),
            spec.classes,
        )
        for one in found
    ]  # fmt: skip


def measure(spec: ModelSpec, model: Path, photographs: Sequence[Path]) -> dict[str, Any]:
    """A row: agreement of a file with its float network, and what int8 costs on val500."""
    file, weights = TfliteFile.read(model), locate.weights(spec, None)
    exact = Job("torch", weights, checksum(weights), spec, *_SETTINGS)
    rounded = Job("litert", model, file.sha256, file.spec, *_SETTINGS)
    truth, found = (detections(job, photographs) for job in (exact, rounded))
    return {
        "model": spec.name,
        "strides": listed(spec),
        "sha256": file.sha256,
        "photographs": len(photographs),
        "boxes": sum(int((d.confidence >= DISPLAY_THRESHOLD).sum()) for d in truth),
        "agreement": round(average_precision(truth, found), 3),
        "standard_error": round(standard_error(truth, found), 3),
    }


def val500(spec: ModelSpec, model: Path) -> list[float]:
    """AP that int8 loses on the annotated photographs, and its standard error, in percent."""
    known = read_rows(family.RESULTS).get(file_stem(spec))
    if known is not None and known["sha256"] == TfliteFile.read(model).sha256:
        found: list[float] = known["losses"]["litert"]["AP"]
        return found
    folder = _SCRATCH / file_stem(spec)
    files = [str(folder / f"{engine}.json") for engine in ("torch", "litert")]
    size = f"{spec.input.width}x{spec.input.height}"
    base = [name for name in locate.models() if spec.name.startswith(name)][-1]
    network = ["--model", base, "--input-size", size, "--strides", listed(spec)]
    evaluate(folder / "ap.json", "--engine", "torch", *network, "--detections", files[0])
    evaluate(folder / "ap.json", str(model), "--detections", files[1])
    python("nanodet", "compare", *files, "--json", str(folder / "compare.json"))
    figure = read_rows(folder / "compare.json")["AP"]
    return [round(figure["other"] - figure["base"], 4), figure["standard_error"]]


def render(rows: Sequence[dict[str, Any]]) -> str:
    """The table in Markdown."""
    header = ("model", "strides", "photographs", "boxes", "agreement, %", "val500, AP")
    sign = "\N{PLUS-MINUS SIGN}"
    return table(
        header,
        [
            (
                row["model"],
                row["strides"],
                f"{row['photographs']:,}",
                f"{row['boxes']:,}",
                f"{row['agreement']:.2f} {sign} {row['standard_error']:.2f}",
                "{:+.2f} {} {:.2f}".format(row["val500"][0], sign, row["val500"][1]),
            )
            for row in rows
        ],
    )


def main() -> None:
    """Measure, write, render."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("photographs", type=Path, metavar="PHOTOGRAPHS", help="a folder")
    add("--files", type=Path, nargs="+", default=[ROOT], metavar="DIR", help="of int8 files")
    add("--every", type=int, default=1, metavar="N", help="one photograph of N alone")
    options = parser.parse_args()
    photographs = list_images(options.photographs)[:: options.every]
    rows = read_rows(RESULTS)
    for spec in specs():
        paths = [tflite_path(spec, folder) for folder in options.files]
        model = next((path for path in paths if path.is_file()), None)
        if model is None:
            print(f"{paths[0]}: not there, left out; build it with recipe.sh", file=sys.stderr)
            continue
        stem, now = (
            file_stem(spec),
            checksum(model),
        )
        known = rows.get(stem, {})
        if (known.get("sha256"), known.get("photographs")) != (now, len(photographs)):
            known = measure(spec, model, photographs)
        rows[stem] = known if "val500" in known else {**known, "val500": val500(spec, model)}
        write_rows(RESULTS, rows)
    if not rows:
        raise KitError("no int8 file found; give --files")
    replace_block(DOCUMENT, "agreement", render(list(rows.values())))


if __name__ == "__main__":
    main()
