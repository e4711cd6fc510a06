"""`python -m benchmarks.pareto`: which networks, sizes and strides pay on a microcontroller.

First every candidate is ranked, by the AP of its network in float and by what a file that was
quantized with `--fast` takes on both engines. Then those within 1 AP of the frontier of either
engine are built in full and evaluated in TensorFlow Lite Micro, the most promising first. That
takes hours: it goes on where it stopped, and says what is left.

Writes results/pareto.json, models/mcu_choices.csv, from which budgets choose, docs/pareto.svg and
the table in docs/results.md. A row that is there is not measured again; what a file in
build/pareto takes is. `--rows` builds some in full without the ranking.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from analysis.cortex_m7 import PUBLISHED_INSTRUCTIONS, total
from analysis.engine import every
from analysis.memory import memory
from benchmarks import builds
from benchmarks.builds import listed, python, read_rows, write_rows
from benchmarks.markdown import replace_block, table
from data.names import ROOT, tflite_path, variant, with_input_size, work_folder
from evaluation.figures import save
from firmware.engine import WEIGHTS
from pipeline.budget import CHOICES, Choice, on_board, read_choices
from runtime.engines.arena import arena_bytes
from runtime.files import write_text
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph

RESULTS = ROOT / "benchmarks" / "results" / "pareto.json"
DOCUMENT = ROOT / "docs" / "results.md"
_OUT = ROOT / "build" / "pareto"
_FAST = _OUT / "fast"
_PLOT = ROOT / "docs" / "pareto.svg"
_SIZES = range(96, 321, 32)
_PAN = ((32,), (16, 32), (8, 16, 32))
_NETWORKS = {
    "nanodet-m-0.5x": _PAN,
    "nanodet-m": _PAN,
    "nanodet-plus-m-320": ((8, 16, 32, 64),),
    "nanodet-plus-m-1.5x-320": ((8, 16, 32, 64),),
}
_FIELDS = (
    "model", "input_size", "strides", "float_ap", "ap", "leaky_relus", "arena_bytes",
    "flash_bytes", "constant_bytes", "instructions", "engine_arena_bytes", "engine_flash_bytes",
    "engine_flash_read_bytes", "engine_instructions", "engine_int8_arena_bytes",
    "engine_int8_flash_bytes", "engine_int8_instructions",
)  # fmt: skip
_TITLES = {"tflm": "TensorFlow Lite Micro", "c": "the kit's own engine"}
_COST = {"tflm": "instructions", "c": "engine_instructions"}
_NEAR = 1.0  # AP below the frontier within which a candidate is built in full.
_NXP_AP = 7.33  # Of NXP's own file, in LiteRT; docs/results.md.
_BOARD = "imxrt1170"

Rows = dict[str, dict[str, Any]]
_Step = Callable[[str, ModelSpec], dict[str, Any]]


def candidates() -> dict[str, ModelSpec]:
    """All that are compared, by model, size and strides."""
    found = {}
    for model, choices in _NETWORKS.items():
        for size in reversed(_SIZES):
            for strides in choices:
                spec = with_input_size(variant(model, strides), size, size)
                found[f"{model}/{size}/{listed(spec)}"] = spec
    return found


def options(key: str) -> list[str]:
    """Of `recipe.sh`, for a candidate."""
    model, size, strides = key.split("/")
    return ["--model", model, "--input-size", size, "--strides", strides]


def rank(key: str, spec: ModelSpec) -> dict[str, Any]:
    """The AP of a candidate in float."""
    scores = work_folder(spec, _OUT) / "torch.json"
    found = builds.evaluate(scores, "--engine", "torch", *options(key))
    model, size, strides = key.split("/")
    named = {"model": model, "input_size": int(size), "strides": strides}
    return {**named, "float_ap": round(found["AP"], 2)}


def estimate(key: str, spec: ModelSpec) -> dict[str, Any]:
    """What a candidate takes, which does not depend on how well it is quantized."""
    python("-m", "pipeline", *options(key), "--fast", "--out", str(_FAST))
    return costs(tflite_path(spec, _FAST))


def judge(key: str, spec: ModelSpec) -> dict[str, Any]:
    """What a full build adds to a row; evaluated in TensorFlow Lite Micro."""
    python("-m", "pipeline", *options(key), "--out", str(_OUT))
    path = tflite_path(spec, _OUT)
    scores = work_folder(spec, _OUT) / "tflm.json"
    found = builds.evaluate(scores, str(path), "--engine", "tflm")
    sha256 = TfliteFile.read(path).sha256
    return {"ap": round(found["AP"], 2), "sha256": sha256, **costs(path)}


def costs(path: Path) -> dict[str, Any]:
    """What a file takes on both engines, by the names of the table."""
    graph = Graph.read(path)
    used, instructions = memory(graph), total(graph).instructions
    forms = every(graph.content, str(path))
    assert instructions is not None and not isinstance(forms, str), forms
    own, narrow = forms["int16"], forms["int8"]
    assert own.cost.instructions is not None and narrow.cost.instructions is not None
    return {
        "leaky_relus": len(graph.named("LEAKY_RELU")),
        "arena_bytes": arena_bytes(path),
        "flash_bytes": used.flash_bytes,
        "constant_bytes": used.constant_bytes,
        "instructions": round(instructions),
        "engine_arena_bytes": own.arena_bytes,
        "engine_flash_bytes": own.flash_bytes,
        "engine_flash_read_bytes": own.read_bytes,
        "engine_instructions": round(own.cost.instructions),
        "engine_int8_arena_bytes": narrow.arena_bytes,
        "engine_int8_flash_bytes": narrow.flash_bytes,
        "engine_int8_instructions": round(narrow.cost.instructions),
    }


def margin(key: str, rows: Rows, engine: str) -> float:
    """AP of a ranked candidate above the best of those that take no more instructions."""
    row, cost = rows[key], _COST[engine]
    others = (o for k, o in rows.items() if k != key and o[cost] <= row[cost])
    return float(row["float_ap"] - max((o["float_ap"] for o in others), default=0.0))


def promising(rows: Rows) -> list[str]:
    """Those within `_NEAR` of the frontier of either engine, the furthest above it first."""
    margins = {key: max(margin(key, rows, engine) for engine in _COST) for key in rows}
    near = [key for key, ap in margins.items() if ap >= -_NEAR]
    return sorted(near, key=lambda key: -margins[key])


def _measure(
    what: str, keys: list[str], step: _Step, specs: dict[str, ModelSpec], state: dict[str, Any]
) -> None:
    """Measure and keep candidates one by one; says what is left, and how long it takes."""
    seconds = state["seconds"].setdefault(what, [])
    for done, key in enumerate(keys):
        left = len(keys) - done
        mean = sum(seconds) / len(seconds) if seconds else 0.0
        hours = f"about {left * mean / 3600:.1f} hours" if seconds else "nobody knows how long yet"
        print(f"{what}: {left} left, {hours}; now {key}", file=sys.stderr, flush=True)
        start = time.monotonic()
        state["rows"][key] = {**state["rows"].get(key, {}), **step(key, specs[key])}
        seconds.append(round(time.monotonic() - start))
        write_rows(RESULTS, state)


def _without(field: str, keys: Iterable[str], rows: Rows) -> list[str]:
    """Candidates whose rows lack a figure."""
    return [key for key in keys if field not in rows.get(key, {})]


def _refresh(rows: Rows, specs: dict[str, ModelSpec]) -> None:
    """What the files at hand take, as the engines are now."""
    for key, row in rows.items():
        path = tflite_path(specs[key], _OUT if "sha256" in row else _FAST)
        if path.is_file() and row.get("sha256") in (None, TfliteFile.read(path).sha256):
            row |= costs(path)


def write_choices(rows: Rows, order: Iterable[str]) -> None:
    """models/mcu_choices.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[key] for key in order if key in rows)
    write_text(CHOICES, text.getvalue())


def frontier(choices: list[Choice], engine: str) -> list[Choice]:
    """Those that find more than every cheaper one, the cheapest first."""
    found: list[Choice] = []
    for choice in on_board(choices, _BOARD, engine):
        if not found or choice.ap > found[-1].ap:
            found.append(choice)
    return found


def overview(choices: list[Choice]) -> str:
    """AP of each network with all strides by size, and the most flash it takes on the C engine."""
    rows = []
    for model, (*_, strides) in _NETWORKS.items():
        wanted = model, ",".join(map(str, strides))
        own = [choice for choice in choices if (choice.model, choice.strides) == wanted]
        ap = {choice.canvas[0]: f"{choice.ap:.2f}" for choice in own}
        flash = [
            max((c.takes["c"].flash_bytes for c in own if c.weights == form), default=0)
            for form in WEIGHTS
        ]
        figures = *(f"{one / 1e6:.2f}" for one in flash), *(ap.get(size, "-") for size in _SIZES)
        rows.append((model, *figures))
    return table(("network", *(f"MB, {form}" for form in WEIGHTS), *map(str, _SIZES)), rows)


def tables(choices: list[Choice]) -> str:
    """How many candidates were evaluated, AP by network and size, the frontier of each engine."""
    header = ("network", "canvas", "strides", "AP", "M instructions", "arena", "flash")
    known = {(choice.model, choice.canvas, choice.strides) for choice in choices}
    parts = [
        f"{len(known)} of {len(candidates())} candidates have an int8 AP. These have all strides; "
        "MB is flash\non the kit's own engine, for both forms of weights:\n\n" + overview(choices)
    ]
    for engine, title in _TITLES.items():
        rows = []
        for choice in frontier(choices, engine):
            takes, size = choice.takes[engine], "x".join(map(str, choice.canvas))
            figures = f"{takes.instructions / 1e6:.1f}", f"{takes.arena_bytes:,}"
            named = choice.model, size, choice.strides, f"{choice.ap:.2f}"
            rows.append((*named, *figures, f"{takes.flash_bytes:,}" if takes.flash_bytes else "-"))
        parts.append(f"On {title}:\n\n{table(header, rows)}")
    return "\n\n".join(parts)


def plot(choices: list[Choice], path: Path) -> None:
    """AP over instructions, for each engine; the area is the arena, the line the frontier."""
    figure = Figure(figsize=(7, 8), layout="constrained")
    for axes, engine in zip(figure.subplots(2), _TITLES, strict=True):
        _draw(axes, choices, engine)
    save(figure, path)


def _draw(axes: Axes, choices: list[Choice], engine: str) -> None:
    shown = [c for c in choices if engine in c.takes and c.weights == WEIGHTS[0]]
    for model in dict.fromkeys(choice.model for choice in shown):
        rows = [choice for choice in shown if choice.model == model]
        takes = [choice.takes[engine] for choice in rows]
        x, y = [one.instructions / 1e6 for one in takes], [choice.ap for choice in rows]
        axes.scatter(x, y, [t.arena_bytes / 4000 for t in takes], alpha=0.6, label=model)
    best = frontier(choices, engine)
    x = [choice.takes[engine].instructions / 1e6 for choice in best]
    axes.step(x, [c.ap for c in best], where="post", color="grey", linewidth=1, label="frontier")
    for choice, place in zip(best, x, strict=True):
        label = f"{choice.canvas[0]}"
        axes.annotate(label, (place, choice.ap), (5, -9), textcoords="offset points", fontsize=7)
    axes.scatter(PUBLISHED_INSTRUCTIONS / 1e6, _NXP_AP, marker="x", color="black",
                 label="NXP's file, on TensorFlow Lite Micro")  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("instructions of an inference on a Cortex-M7, millions (predicted)")
    axes.set_ylabel("AP, int8, %")
    axes.set_title(f"On {_TITLES[engine]}; area: arena, number: size")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_mutually_exclusive_group().add_argument
    add("--render", action="store_true", help="only write and draw anew")
    specs = candidates()
    add("--rows", nargs="+", choices=specs, metavar="ROW",
        help="build only these, such as nanodet-plus-m-320/256/8,16,32,64")  # fmt: skip
    options = parser.parse_args()
    state = {"rows": {}, "seconds": {}, **read_rows(RESULTS)}
    rows = state["rows"]
    _refresh(rows, specs)
    if options.rows:
        _measure("float", _without("float_ap", options.rows, rows), rank, specs, state)
        _measure("build", _without("ap", options.rows, rows), judge, specs, state)
    elif not options.render:
        _measure("float", _without("float_ap", specs, rows), rank, specs, state)
        _measure("cost", _without("engine_instructions", specs, rows), estimate, specs, state)
        _measure("build", _without("ap", promising(rows), rows), judge, specs, state)
    write_rows(RESULTS, state)
    write_choices(rows, specs)
    plot(read_choices(), _PLOT)
    replace_block(DOCUMENT, "pareto", tables(read_choices()))


if __name__ == "__main__":
    main()
