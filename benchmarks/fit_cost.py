"""`python -m benchmarks.fit_cost CSV`: fits cortex_m7.json to counted instructions.

CSV: one row per node of some models, with `model`, `op`, `input`, `weight`, `output` (shapes as
1x10x10x96), `macs` and `instructions`. Beside it stand `m7_counts.csv`, single operators that we
counted: TensorFlow Lite Micro with CMSIS-NN in NXP's library of 2025-07-17 for Cortex-M7 (arm-gcc
14.2), in QEMU (mps2-an500, one instruction a tick, 40 of them to a timer's step), random inputs.
Prints, for each model in turn, how well the other models and the single operators predict it.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.cortex_m7 import COEFFICIENTS, FEATURES, Node, kind_of, predict
from runtime.cli import Parser, run
from runtime.files import write_text

SINGLES = Path(__file__).with_name("m7_counts.csv")
_GOOD = 0.01  # Root mean square of relative errors with which fewer features are preferred.
_WORTH = 0.999  # What a further feature must reduce the errors to; less is a processor's rounding.
_MATTERS = 0.02  # Share of a model's instructions.
_DIGITS = 6


class Counted(NamedTuple):
    """A node and the instructions it took."""

    model: str
    node: Node
    instructions: float


def read(path: Path) -> list[Counted]:
    """The rows of the file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [_counted(row) for row in csv.DictReader(file)]


def _counted(row: dict[str, str]) -> Counted:
    weight, outputs = _shape(row["weight"]), [_shape(o) for o in row["output"].split("|")]
    output = outputs[0]
    if row["op"] == "SPLIT":  # All results together, as in `analysis.cortex_m7`.
        elements = int(row.get("output_elements") or sum(math.prod(o) for o in outputs))
        output = (*output[:-1], elements // math.prod(output[:-1]))
    kind = kind_of(row["op"], _shape(row["input"].split("|")[0]), weight, output)
    node = Node(row.get("node", ""), kind, output, int(row["macs"]))
    return Counted(row.get("model", ""), node, float(row["instructions"]))


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split("x")) if text else ()


def fit(rows: Sequence[Counted]) -> dict[str, list[float]]:
    """Coefficients by kind: as few features as do, none negative."""
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row.node.kind].append(row)
    return {kind: _fit_kind(by_kind[kind]) for kind in sorted(by_kind)}


def _fit_kind(rows: Sequence[Counted]) -> list[float]:
    x = np.array([row.node.features for row in rows])
    y = np.array([row.instructions for row in rows])
    relative = x / y[:, None]
    usable = [i for i in reversed(range(len(FEATURES))) if x[:, i].any()]
    best, least = np.zeros(len(FEATURES)), np.inf
    sizes = range(1, len(usable) + 1)
    for chosen in itertools.chain(*(itertools.combinations(usable, n) for n in sizes)):
        found, *_ = np.linalg.lstsq(relative[:, chosen], np.ones(len(rows)))
        error = float(np.sqrt(np.mean((relative[:, chosen] @ found - 1) ** 2)))
        if (found >= 0).all() and error < least * _WORTH:
            best, least = np.zeros(len(FEATURES)), error
            best[list(chosen)] = found
        if least < _GOOD:
            break
    return [float(f"{c:.{_DIGITS}g}") for c in best]


class Errors(NamedTuple):
    """Relative errors of a prediction; of kinds of operators with more than 2 % of the model's
    instructions, most first, None where nothing is known of a kind."""

    total: float
    by_kind: dict[str, float | None]


def left_out(rows: Sequence[Counted], model: str) -> Errors:
    """How well all nodes but a model's predict that model."""
    known = fit([row for row in rows if row.model != model])
    counted, predicted = Counter[str](), Counter[str]()
    for row in rows:
        if row.model == model:
            kind = row.node.kind.split()[0]
            counted[kind] += row.instructions  # type: ignore[assignment]
            predicted[kind] += predict(row.node, known) or 0.0  # type: ignore[assignment]
    whole = sum(counted.values())
    errors = {
        kind: predicted[kind] / n - 1 if predicted[kind] else None
        for kind, n in counted.most_common()
        if n > _MATTERS * whole
    }
    return Errors(sum(predicted.values()) / whole - 1, errors)


def main() -> int:
    """Fit, report, write."""
    parser = Parser(prog="python -m benchmarks.fit_cost", description=__doc__)
    parser.add_argument("counts", type=Path, metavar="CSV")
    rows = [*read(parser.parse_args().counts), *read(SINGLES)]
    for model in sorted({row.model for row in rows if row.model}):
        errors = left_out(rows, model)
        kinds = [
            f"{kind} unknown" if error is None else f"{kind} {error:+.1%}"
            for kind, error in errors.by_kind.items()
        ]
        print(f"{model}: {errors.total:+.1%} in all; {', '.join(kinds)}")
    write_text(COEFFICIENTS, json.dumps(fit(rows), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
