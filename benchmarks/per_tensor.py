"""`python -m benchmarks.per_tensor`: the family with one scale for each layer's weights.

Builds every variant of `benchmarks.family` so, as the NN cores of the i.MX 8M Plus want them, and
evaluates it in both engines of int8 against the network in float. Takes about two hours; what is
done is kept. Writes results/per_tensor.json and a table in docs/quantization.md, beside what one
scale per channel costs.
"""

from __future__ import annotations

import argparse
from statistics import fmean
from typing import Any

from benchmarks import family
from benchmarks.builds import read_rows, write_rows
from benchmarks.markdown import replace_block, table
from data.names import ROOT, file_stem
from runtime.spec import ModelSpec

RESULTS = ROOT / "benchmarks" / "results" / "per_tensor.json"
_SCHEME = "int8-per-tensor"
_BASE, _ENGINES = "torch", ("litert", "tflm")


def measure(spec: ModelSpec, known: dict[str, Any]) -> dict[str, Any]:
    """A row as the family's; figures of `known` stay where the file is the same, those of float are
    the family's."""
    known = known or {**read_rows(family.RESULTS).get(file_stem(spec), {}), "sha256": ""}
    row = family.build(spec, known, _SCHEME)
    for engine in family.needed(spec, row, (_BASE, *_ENGINES), _SCHEME):
        row["ap"][engine] = family.evaluate(spec, row, engine, 0, _SCHEME)
    for engine in _ENGINES:
        if engine not in row["losses"]:
            row["losses"][engine] = family.losses(spec, row, engine, 0, _SCHEME)
    return row


def render(rows: dict[str, Any]) -> str:
    """What each scheme loses of the AP in float, in Markdown."""
    per_channel = read_rows(family.RESULTS)
    columns = [(engine, scheme) for engine in _ENGINES for scheme in (rows, per_channel)]
    lines = [
        (row["model"], row["strides"], *(family.loss(s[stem], e, "AP") for e, s in columns))
        for stem, row in sorted(rows.items())
    ]
    changes = [[s[stem]["losses"][e]["AP"][0] for stem in rows] for e, s in columns]
    for name, summary in (("mean", fmean), ("worst", min)):
        lines.append((name, "", *(f"{summary(column):+.2f}" for column in changes)))
    schemes = ("one scale per layer", "one per channel")
    engines = ("LiteRT", "TFLM")
    return table(
        ("model", "strides", *(f"{engine}, {scheme}" for engine in engines for scheme in schemes)),
        lines,
    )


def main() -> None:
    """Build, measure, render."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--models", type=lambda text: text.split(","), default=[], help="only these, e.g. A,B")
    models = parser.parse_args().models
    for spec in family.variants():
        if models and spec.name not in models:
            continue
        stem = file_stem(spec)
        row = measure(spec, read_rows(RESULTS).get(stem, {}))
        write_rows(RESULTS, {**read_rows(RESULTS), stem: row}, sort_keys=True)
    replace_block(family.LOSSES, "per-tensor", render(read_rows(RESULTS)))


if __name__ == "__main__":
    main()
