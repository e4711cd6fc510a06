"""`python -m benchmarks.rounding PHOTOGRAPHS FILE...`: what rounding costs, part by part.

Agreement as in `benchmarks.agreement`, of each int8 file as PyTorch simulates it: with all its
rounding, with the scales in float that cost most on calibration photographs, and with its weights
alone rounded, which is all that is measured of int16x8 files. Writes results/rounding.json and a
table in docs/quantization.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.builds import listed, read_rows, write_rows
from benchmarks.markdown import replace_block, table
from calibration import canvases
from convert.checkpoint import load_network
from convert.engines import input_tensor
from data import locate
from data.names import ROOT
from quantize.float_graph import FloatGraph
from quantize.learn import Numbers
from quantize.sensitivity import TensorReport, measure, tensor_ranges, worst
from runtime.image import list_images
from runtime.spec import ModelSpec, as_trained
from runtime.tflite_file import TfliteFile
from train.judge import Jury

RESULTS = ROOT / "benchmarks" / "results" / "rounding.json"
DOCUMENT = ROOT / "docs" / "quantization.md"
_IN_FLOAT = (1, 3, 10)  # So many of the dearest scales.
_IMAGES = 4  # As `./nanodet inspect` takes.


def agreements(path: Path, photographs: Sequence[Path]) -> dict[str, Any]:
    """A row: agreement in percent of one file."""
    file = TfliteFile.read(path)
    graph, spec = FloatGraph.parse(file.content), file.spec
    network = load_network(locate.weights(spec, None), as_trained(spec)).network
    judge = Jury(network, spec, photographs).of(graph, spec)
    ranges, kept = tensor_ranges(graph), {"weights": set[int]()}
    dearest: dict[int, TensorReport] = {}
    if file.input.dtype == "INT8":
        dearest = _dearest(graph, spec)
        kept["all"] = set(ranges)
        kept |= {f"but {n}": set(ranges) - set(list(dearest)[:n]) for n in _IN_FLOAT}
    found = {}
    for name, groups in tqdm(kept.items(), desc=path.name):
        some = {group: ranges[group] for group in groups}
        found[name] = round(judge(Numbers(graph.weights, graph.biases, some)), 2)
    return {
        "model": spec.name,
        "strides": listed(spec),
        "sha256": file.sha256,
        "photographs": len(photographs),
        "scales": len(ranges),
        "dearest": [report.name for report in list(dearest.values())[: _IN_FLOAT[1]]],
        "agreement": found,
    }


def _dearest(graph: FloatGraph, spec: ModelSpec) -> dict[int, TensorReport]:
    """Scales by what their rounding alone costs, dearest first, each with one of its tensors."""
    paths = locate.calibration_images(spec, None)[:_IMAGES]
    images = torch.cat([input_tensor(canvas, spec) for canvas in canvases(paths, spec.input)])
    reports = measure(graph, images, spec.num_bins, lambda done, total: None)
    scale = {graph.name(tensor): graph.scale_group[tensor] for tensor in graph.rounded}
    found: dict[int, TensorReport] = {}
    for report in worst(reports, len(reports)):
        found.setdefault(scale[report.name], report)
    return found


def render(rows: dict[str, dict[str, Any]]) -> str:
    """The table in Markdown."""
    header = ("file", "scales", "all", *(f"but {n}" for n in _IN_FLOAT), "weights alone")
    order = ("all", *(f"but {n}" for n in _IN_FLOAT), "weights")
    return table(
        header,
        [
            (name, str(row["scales"]), *(_percent(row["agreement"].get(one)) for one in order))
            for name, row in rows.items()
        ],
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main() -> None:
    """Measure, write, render."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("photographs", type=Path, metavar="PHOTOGRAPHS", help="a folder")
    add("files", type=Path, nargs="+", metavar="FILE", help="int8 files of models/")
    add("--every", type=int, default=1, metavar="N", help="one photograph of N alone")
    options = parser.parse_args()
    photographs = list_images(options.photographs)[:: options.every]
    rows = read_rows(RESULTS)
    for path in options.files:
        rows[path.stem] = agreements(path, photographs)
        write_rows(RESULTS, rows)
    replace_block(DOCUMENT, "rounding", render(rows))


if __name__ == "__main__":
    main()
