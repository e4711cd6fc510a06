"""Where each channel of each value lies: columns of a buffer's pixels, rows of a buffer, bytes of
the arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from firmware.engine.layers import CONVOLUTIONS, Layer
from firmware.engine.placement import Block, place
from firmware.engine.rows import INPUT, Rows, Schedule, in_flight

_ALIGNMENT = 4
_WHOLE_STEP = 1  # Only within a pixel may a step write where it has read.


@dataclass(frozen=True)
class Buffer:
    """rows: of which row y of a value lies in row y % rows. offset: in the arena."""

    name: str
    width: int
    pitch: int
    rows: int
    padding: int = 0
    offset: int = 0

    @property
    def row_bytes(self) -> int:
        """Whole words."""
        return -(-(self.width * self.pitch + self.padding) // _ALIGNMENT) * _ALIGNMENT

    @property
    def bytes(self) -> int:
        """Of all rows."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class Storage:
    """buffer: by value. columns: by value, the byte of a pixel that holds each channel."""

    buffers: tuple[Buffer, ...]
    buffer: dict[int, int]
    columns: dict[int, np.ndarray]
    arena_bytes: int


@dataclass(frozen=True)
class Draft:
    """Storage without offsets. blocks: the buffers as they are to be placed."""

    buffers: tuple[Buffer, ...]
    blocks: tuple[Block, ...]
    buffer: dict[int, int]
    columns: dict[int, np.ndarray]

    @cached_property
    def least_bytes(self) -> int:
        """What the buffers take together at the worst time: no arena can be smaller."""
        change = np.zeros(max(int(block.lives.max()) for block in self.blocks) + 2, np.int64)
        for block in self.blocks:
            np.add.at(change, block.lives[:, 0], block.row_bytes)
            np.add.at(change, block.lives[:, 1] + 1, -block.row_bytes)
        return int(change.cumsum().max()) + _ALIGNMENT

    def packed(self, tries: int) -> Storage:
        """The best of so many ways to place the buffers."""
        offsets, end = place(self.blocks, tries, self.least_bytes - _ALIGNMENT)
        buffers = tuple(replace(b, offset=at) for b, at in zip(self.buffers, offsets, strict=True))
        # Kernels read whole words, beyond the last pixel, too.
        return Storage(buffers, self.buffer, self.columns, end + _ALIGNMENT)


def draft(rows: Rows, schedule: Schedule, whole: set[int], scratch_bytes: int) -> Draft:
    """whole: values that must be there as a whole at some time."""
    made = _Layout(rows, schedule, whole)
    made.lay_out()
    made.buffers.append(Buffer("scratch", scratch_bytes, 1, 1))
    made.lives.append(np.array([[0, 2 * len(schedule.steps)]]))
    blocks = [
        Block(buffer.row_bytes, lives) if len(np.unique(lives, axis=0)) > 1
        else Block(buffer.bytes, lives[:1])
        for buffer, lives in zip(made.buffers, made.lives, strict=True)
    ]  # fmt: skip
    return Draft(tuple(made.buffers), tuple(blocks), made.buffer, made.columns)


class _Layout:
    def __init__(self, rows: Rows, schedule: Schedule, whole: set[int]) -> None:
        self.rows, self.network, self.schedule, self.whole = rows, rows.network, schedule, whole
        self.buffers: list[Buffer] = []
        self.lives: list[np.ndarray] = []  # (rows, 2): first and last half step of each.
        self.buffer: dict[int, int] = {}
        self.columns: dict[int, np.ndarray] = {}

    def lay_out(self) -> None:
        born = {v: int(times[0]) for v, times in self.schedule.birth.items()}
        pools = self._pools()
        for members in pools:
            self._pool(sorted(members, key=born.__getitem__))
        shared = set().union(*pools)
        for value in sorted(born, key=born.__getitem__):
            if value not in shared and self.network.values[value].channels:
                self._dense(value, self.rows.writer[value])

    def _pools(self) -> list[set[int]]:
        """Values of which some layer reads a part, with those that are read beside them."""
        pools: list[set[int]] = []
        for parts in self.rows.parts:
            inside = {v: count for v, count in parts.items() if v in self.whole}
            channels = {v: self.network.values[v].channels for v in inside}
            touched = [pool for pool in pools if pool & set(inside)]
            if touched or inside != channels:
                pools = [pool for pool in pools if pool not in touched]
                pools.append(set(inside).union(*touched))
        return pools

    def _pool(self, members: Sequence[int]) -> None:
        """One buffer, in which a channel lies where another one is needed no longer."""
        birth, death = self.schedule.birth, self.schedule.death
        height, width = (
            self.network.values[members[0]].height,
            self.network.values[members[0]].width,
        )
        ends = np.zeros((0, height), int)  # By column: when each row is free again.
        for value in members:
            count = self.network.values[value].channels
            readers = self.rows.channel_readers[value]
            order = sorted(range(count), key=lambda c: (readers[c], c))
            free = np.flatnonzero((ends < birth[value]).all(1)).tolist()
            more = max(count - len(free), 0)
            free += range(len(ends), len(ends) + more)
            ends = np.concatenate([ends, np.full((more, height), -1)])
            columns = np.zeros(count, int)
            columns[order] = _neighbours(free, count)
            ends[columns] = np.maximum(death[value].T, birth[value])
            self.columns[value], self.buffer[value] = columns, len(self.buffers)
        first = np.min([birth[v] for v in members], axis=0)
        last = np.max([death[v].max(1, initial=-1) for v in members], axis=0) | _WHOLE_STEP
        self.buffers.append(
            Buffer(f"values {members[0]} to {members[-1]}", width, len(ends), height)
        )
        self.lives.append(np.stack([first, last], 1))

    def _dense(self, value: int, writer: int) -> None:
        """A buffer of its own, of all rows or of those in flight."""
        about = self.network.values[value]
        self.columns[value] = np.arange(about.channels)
        if writer != INPUT and self.network.layers[writer].kind not in CONVOLUTIONS:
            self.columns[value] = self._as_source(self.network.layers[writer])
        birth = self.schedule.birth[value]
        death = np.maximum(self.schedule.death[value].max(1, initial=-1), birth) | _WHOLE_STEP
        rows = about.height if value in self.whole else in_flight(birth, death)
        self.buffer[value] = len(self.buffers)
        padding = about.channels if value == 0 else 0  # A column behind the image.
        self.buffers.append(Buffer(f"value {value}", about.width, about.channels, rows, padding))
        lives = np.stack([birth, death], 1)
        if rows < about.height:
            lives = np.repeat([[birth.min(), death.max()]], rows, axis=0)
        self.lives.append(lives)

    def _as_source(self, layer: Layer) -> np.ndarray:
        """Channels in the order in which those of the first source lie in memory."""
        places = [(self.buffer[v], int(self.columns[v][c])) for v, c in layer.sources[0]]
        columns = np.zeros(len(places), int)
        columns[sorted(range(len(places)), key=places.__getitem__)] = np.arange(len(places))
        return columns


def _neighbours(free: Sequence[int], count: int) -> list[int]:
    """The first run of so many neighbouring columns, or else the first free ones."""
    for at in range(len(free) - count + 1):
        if free[at + count - 1] - free[at] == count - 1:
            return list(free[at : at + count])
    return list(free[:count])
