"""Bytes of a plan's arena that no row needs for some time, for what lives beside the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firmware.engine.plan import Plan
from firmware.engine.rows import INPUT

_ALIGNMENT = 4


@dataclass(frozen=True)
class Spare:
    """Offsets in the arena, and how long that has to be."""

    columns_at: int
    candidates_at: int
    arena_bytes: int


def place(plan: Plan, columns_bytes: int, candidates_bytes: int) -> Spare:
    """Where preprocessing's columns lie until the last row is fetched, and candidates from the
    first row of logits on."""
    steps = [number for number, _ in plan.schedule.steps]
    decodes = [n for n, layer in enumerate(plan.network.layers) if layer.kind == "decode"]
    fetched = 2 * max(i for i, number in enumerate(steps) if number == INPUT) + 1
    found = 2 * min(i for i, number in enumerate(steps) if number in decodes)
    columns = _lowest(~_needed(plan, 0, fetched), columns_bytes)
    needed = _needed(plan, found, 2 * len(steps))
    if found <= fetched:
        needed = np.pad(needed, (0, max(0, columns + columns_bytes - len(needed))))
        needed[columns : columns + columns_bytes] = True
    candidates = _lowest(~needed, candidates_bytes)
    ends = plan.storage.arena_bytes, columns + columns_bytes, candidates + candidates_bytes
    return Spare(columns, candidates, -(-max(ends) // _ALIGNMENT) * _ALIGNMENT)


def _needed(plan: Plan, first: int, last: int) -> np.ndarray:
    """bool (arena bytes,): what the network needs at some half step from `first` to `last`."""
    storage, schedule = plan.storage, plan.schedule
    needed = np.zeros(storage.arena_bytes, bool)
    scratch = storage.buffers[-1]
    needed[scratch.offset : scratch.offset + scratch.bytes] = True
    for value, number in storage.buffer.items():
        buffer, birth = storage.buffers[number], schedule.birth[value]
        # What is read within a step may be written at its end.
        death = np.maximum(schedule.death[value].max(1, initial=-1), birth) | 1
        for row in np.flatnonzero((birth <= last) & (death >= first)):
            start = buffer.offset + int(row) % buffer.rows * buffer.row_bytes
            needed[start : start + buffer.row_bytes] = True
    return needed


def _lowest(free: np.ndarray, count: int) -> int:
    """The lowest offset of so many free bytes; there are as many as it takes behind the last."""
    longer = np.concatenate([free, np.ones(count + _ALIGNMENT, bool)])
    taken = np.concatenate([[0], np.cumsum(~longer)])
    starts = np.arange(0, len(longer) - count + 1, _ALIGNMENT)
    return int(starts[np.flatnonzero(taken[starts + count] == taken[starts])[0]])
