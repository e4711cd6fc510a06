"""What a plan of the kit's own engine takes: instructions on a Cortex-M7, and flash.

Instructions are linear in a layer's units of work. `engine_cost.csv` says what each unit takes, as
`python -m benchmarks.engine_cost` counted it in an emulator.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from analysis.cortex_m7 import Cost, add_up
from firmware.engine.emit import emit_measured
from firmware.engine.layers import CONVOLUTIONS, Layer
from firmware.engine.plan import Plan, whole_words
from firmware.engine.rows import at_once, is_pointwise

COEFFICIENTS = Path(__file__).with_suffix(".csv")
_PIXELS = 3  # That a convolution computes at once.
_CHANNELS = 4  # That a depthwise convolution widens at once.
CODE = "code"  # A kind: bytes of all functions of the C library.


@dataclass(frozen=True)
class Work:
    """Of a layer. kind: kernel and form. units: how much of what decides its instructions."""

    kind: str
    units: Mapping[str, float]


def instructions(plan: Plan) -> Cost:
    """From the image's rows to logits, layer by layer."""
    known, layers = coefficients(), [work(plan, layer) for layer in plan.network.layers]
    return add_up([one.kind for one in layers], [predict(one, known) for one in layers])


def flash_bytes(plan: Plan) -> int:
    """Weights, tables, plan and code."""
    data = emit_measured(plan, "network")
    return data.weight_bytes + data.plan_bytes + round(coefficients()[CODE]["bytes"])


@lru_cache
def coefficients() -> dict[str, dict[str, float]]:
    """Instructions of a unit, by kind."""
    found: dict[str, dict[str, float]] = {}
    with COEFFICIENTS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["kind"], {})[row["unit"]] = float(row["instructions"])
    return found


def predict(one: Work, known: Mapping[str, Mapping[str, float]]) -> float | None:
    """Instructions of a layer; None for a kind that was never counted."""
    if one.kind not in known:
        return None
    return sum(known[one.kind].get(unit, 0.0) * count for unit, count in one.units.items())


def work(plan: Plan, layer: Layer) -> Work:
    """A layer's kind and units."""
    target = plan.network.values[layer.value]
    rows = -(-target.height // at_once(layer))
    active = float(layer.activation is not None)
    if layer.kind in CONVOLUTIONS:
        groups, pixels = target.height * -(-target.width // _PIXELS), target.height * target.width
        inputs, outputs = whole_words(layer.weight[0].size), target.channels  # type: ignore[index]
        units: dict[str, float] = {"row": rows}
        for name, count in (("group", groups), ("pixel", pixels)):
            units |= {
                name: count, f"{name} input": count * inputs, f"{name} output": count * outputs,
                f"{name} product": count * inputs * outputs,
            }  # fmt: skip
        form = plan.convolution(layer)
        if form.narrow:
            parts, blocks = rows * form.how.parts(target.width), -(-form.outputs // form.how.block)
            turns = target.height * -(-target.width // form.how.turn)
            units |= {
                "block": parts * blocks, "block turn": turns * blocks,
                "widened pair": parts * form.outputs / 2,
                "widened": parts * form.outputs * form.inputs,
            }  # fmt: skip
        units["activation"] = active * pixels * outputs
        read, written = _runs(plan, layer.sources[0]), _runs(plan, _all(layer.value, outputs))
        form_name = "conv 1x1" if layer.kind == "conv" else "stem"
        if layer.kind == "conv" and not is_pointwise(layer):
            form_name, taps = "conv window", pixels * layer.kernel**2
            units |= {"tap": taps, "tap run": taps * len(read), "gathered byte": taps * sum(read)}
        elif layer.kind == "conv" and len(read) > 1:
            units |= {"read run": pixels * len(read), "read byte": pixels * sum(read)}
            units["gathered byte"] = any(n % 4 for n in read[:-1]) * pixels * sum(read)
        if len(written) > 1:
            units |= {"written run": pixels * len(written), "written byte": pixels * outputs}
        return Work(form_name + " int8" * form.narrow, units)
    window = f"{layer.kernel}x{layer.kernel}"
    pieces = 1 if layer.kind == "decode" else _pieces(plan, layer)
    if layer.kind == "depthwise":
        fours = rows * -(-target.channels // _CHANNELS)
        pairs = -(-target.width // 2) * rows * target.channels
        units = {
            "piece": rows * pieces, "four": fours, "column": fours * target.width,
            "channel": rows * target.channels, "pair": pairs, "activation": active * pairs,
            "border": 2 * -(-target.channels // _CHANNELS) * target.width,
        }  # fmt: skip
        return Work(f"depthwise {window} by {layer.stride}", units)
    source = plan.network.values[layer.sources[0][0][0]] if layer.kind == "mean" else target
    pixels = source.height * source.width
    units = {"piece": rows * pieces, "pixel": pixels * pieces, "element": pixels * target.channels}
    return Work(f"{layer.kind} {window}" if layer.kind in ("average", "max") else layer.kind, units)


def _all(value: int, channels: int) -> list[tuple[int, int]]:
    return [(value, channel) for channel in range(channels)]


def _places(plan: Plan, channels: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(buffer, byte of its pixels) of each."""
    storage = plan.storage
    return [(storage.buffer[v], int(storage.columns[v][c])) for v, c in channels]


def _runs(plan: Plan, channels: Sequence[tuple[int, int]]) -> list[int]:
    """Lengths of the runs of bytes in which channels lie in memory."""
    runs: list[int] = []
    before = (-1, -1)
    for buffer, at in sorted(_places(plan, channels)):
        if runs and before == (buffer, at - 1):
            runs[-1] += 1
        else:
            runs.append(1)
        before = buffer, at
    return runs


def _pieces(plan: Plan, layer: Layer) -> int:
    """Runs of channels that lie next to each other in all sources and the target."""
    count = len(layer.sources[0])
    places = [_places(plan, c) for c in (*layer.sources, _all(layer.value, count))]
    columns = sorted(zip(*places, strict=True), key=lambda column: column[-1])
    return 1 + sum(
        any(two != (one[0], one[1] + 1) for one, two in zip(*pair, strict=True))
        for pair in pairwise(columns)
    )
