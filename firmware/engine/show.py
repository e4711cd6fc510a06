"""A plan as plain data and as text: what `--plan` prints and the report draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware.engine.forms import weight_bytes_read
from firmware.engine.layers import Layer
from firmware.engine.plan import Plan


@dataclass(frozen=True)
class Line:
    """A layer of a plan. group: those of one number work row by row together. reads: the values.
    value: what it writes, None for rows that are handed over. offset, bytes: of the buffer that the
    value lies in, rows: of which there is room for so many."""

    group: int
    layer: int
    name: str
    kernel: str
    reads: tuple[int, ...]
    value: int | None
    buffer: str
    offset: int
    bytes: int
    rows: int


def lines(plan: Plan) -> list[Line]:
    """The layers in the order in which their groups run."""
    found = []
    for group, members in enumerate(plan.groups):
        for number in members:
            layer = plan.network.layers[number]
            reads = tuple(sorted({v for channels in layer.sources for v, _ in channels}))
            place = plan.storage.buffer.get(layer.value)
            start = group, number, layer.name, _kernel(layer), reads
            if place is None:
                found.append(Line(*start, None, "", 0, 0, 0))
                continue
            buffer = plan.storage.buffers[place]
            where = buffer.name, buffer.offset, buffer.bytes, buffer.rows
            found.append(Line(*start, layer.value, *where))
    return found


def bytes_in_use(plan: Plan) -> np.ndarray:
    """int64 (steps,): bytes of the arena that some later step reads, and scratch memory."""
    steps = len(plan.schedule.steps)
    change = np.zeros(steps + 1, np.int64)
    for value, birth in plan.schedule.birth.items():
        width = plan.network.values[value].width
        for death in plan.schedule.death[value].T:
            np.add.at(change, birth // 2, width)
            np.add.at(change, np.maximum(death, birth) // 2 + 1, -width)
    used: np.ndarray = change.cumsum()[:steps] + plan.storage.buffers[-1].bytes
    return used


def describe(plan: Plan) -> str:
    """A table of layers and buffers, and the memory in use over time."""
    rows = [("group", "layer", "kernel", "reads", "writes", "buffer", "offset", "bytes", "rows")]
    for line in lines(plan):
        rows.append(
            (
                str(line.group), line.name, line.kernel, " ".join(map(str, line.reads)),
                "" if line.value is None else str(line.value), line.buffer,
                f"{line.offset:,}" if line.buffer else "", f"{line.bytes:,}" if line.buffer else "",
                str(line.rows) if line.buffer else "",
            )
        )  # fmt: skip
    used = bytes_in_use(plan)
    text = _table(rows)
    scratch = plan.storage.buffers[-1]
    text += f"\n\nweights  {'int8' if plan.narrow else 'int16'}, "
    text += f"{weight_bytes_read(plan):,} bytes read from flash in a frame"
    text += f"\nscratch  {scratch.bytes:,} bytes at {scratch.offset:,}"
    text += f"\narena    {plan.storage.arena_bytes:,} bytes, at most {used.max():,} in use"
    return f"{text}\nsteps    {len(used):,}\n"


def _kernel(layer: Layer) -> str:
    """Such as `depthwise 3x3 /2, activation`."""
    size = f" {layer.kernel}x{layer.kernel}" if layer.kernel > 1 else ""
    stride = f" /{layer.stride}" if layer.stride > 1 else ""
    return f"{layer.kind}{size}{stride}" + (", activation" if layer.activation is not None else "")


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
