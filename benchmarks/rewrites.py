"""`python -m benchmarks.rewrites`: what each rewrite brings, by building without it.

Writes the table in docs/rewrites.md. Instructions, arena and operators do not depend on how the
numbers are quantized, so the builds are quick ones (`--fast`).
"""

from __future__ import annotations

import json
from typing import Any

from analysis.cortex_m7 import nodes
from benchmarks.builds import build
from benchmarks.markdown import publish
from data.names import DEFAULT_MODEL, ROOT, tflite_path, variant
from quantize.targets import SWITCHABLE, left_out
from runtime.tflite_graph import Graph

DOCUMENT = ROOT / "docs" / "rewrites.md"
_HEADER = ("left out", "operators", "MACs, M", "instructions, M", "arena, bytes")
_STRIDES = ((32,), (16, 32))


def measure(strides: tuple[int, ...], disabled: tuple[str, ...]) -> dict[str, Any]:
    """Operators, multiplications, instructions and arena of a build without some rewrites."""
    out = ROOT / "build" / "rewrites"
    without = ["--disable-rewrite", ",".join(disabled)] if disabled else []
    spec = variant(DEFAULT_MODEL, strides)
    report = build(spec, "--fast", *without, out=out)
    return {
        "operators": sum(report["tflite"]["operators"].values()),
        "macs": sum(node.macs for node in nodes(Graph.read(tflite_path(spec, out)))),
        "instructions": report["cortex_m7"]["instructions"],
        "arena_bytes": report["arena_bytes"],
    }


def lines(rows: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    """The rows of the table, with the difference to the first."""
    first = next(iter(rows.values()))
    cells: list[tuple[str, ...]] = []
    for name, row in rows.items():
        gain = (row["instructions"] - first["instructions"]) / 1e6
        more = row["arena_bytes"] - first["arena_bytes"]
        shown = f" ({gain:+.1f})" if row is not first else ""
        arena = f" ({more:+,})" if row is not first else ""
        cells.append(
            (
                name,
                str(row["operators"]),
                f"{row['macs'] / 1e6:.1f}",
                f"{row['instructions'] / 1e6:.1f}{shown}",
                f"{row['arena_bytes']:,}{arena}",
            )
        )
    return cells


def main() -> None:
    """Measure and write."""
    switchable = [name for name in SWITCHABLE if name not in left_out("mcu", ())]
    ways = {"nothing": (), **{name: (name,) for name in switchable}}
    for strides in _STRIDES:
        rows = {name: measure(strides, disabled) for name, disabled in ways.items()}
        rows["all of them"] = measure(strides, tuple(switchable))
        label = "-".join(map(str, strides))
        publish(DOCUMENT, f"strides-{label}", _HEADER, lines(rows))
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
