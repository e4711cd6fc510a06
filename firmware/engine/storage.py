"""Where each channel of each value lies: columns of a buffer's pixels, rows of a buffer, bytes of
the arena."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from firmware.engine.layers import Layer, Network
from firmware.engine.rows import Schedule, at_once

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


def least_bytes(network: Network, schedule: Schedule, whole: set[int]) -> int:
    """What the values take together at the worst time: no arena can be smaller."""
    made = _Layout(network, schedule, whole)
    made.lay_out()
    change = np.zeros(2 * len(schedule.steps) + 2, np.int64)
    for buffer, lives in zip(made.buffers, made.lives, strict=True):
        np.add.at(change, lives[:, 0], buffer.row_bytes)
        np.add.at(change, lives[:, 1] + 1, -buffer.row_bytes)
    return int(change.cumsum().max())


def store(network: Network, schedule: Schedule, whole: set[int], scratch_bytes: int) -> Storage:
    """whole: values that must be there as a whole at some time."""
    made = _Layout(network, schedule, whole)
    made.lay_out()
    made.buffers.append(Buffer("scratch", scratch_bytes, 1, 1))
    made.lives.append(np.array([[0, 2 * len(schedule.steps)]]))
    buffers, arena_bytes = pack(made.buffers, made.lives)
    # Kernels read whole words, beyond the last pixel, too.
    return Storage(buffers, made.buffer, made.columns, arena_bytes + _ALIGNMENT)


class _Layout:
    def __init__(self, network: Network, schedule: Schedule, whole: set[int]) -> None:
        self.network, self.schedule, self.whole = network, schedule, whole
        self.buffers: list[Buffer] = []
        self.lives: list[np.ndarray] = []  # (rows, 2): first and last half step of each.
        self.buffer: dict[int, int] = {}
        self.columns: dict[int, np.ndarray] = {}
        self.read_by: dict[tuple[int, int], list[int]] = defaultdict(list)  # Channel -> layers.
        for number, layer in enumerate(network.layers):
            for channels in layer.sources:
                for channel in channels:
                    self.read_by[channel].append(number)

    def lay_out(self) -> None:
        shared = self._shared()
        writer: dict[int, Layer | None] = {0: None}
        writer |= {layer.value: layer for layer in self.network.layers}
        for members in self._pools(shared):
            self._pool(members)
        for value in sorted(writer, key=lambda v: int(self.schedule.birth[v][0])):
            if value not in shared and self.network.values[value].channels:
                self._dense(value, writer[value])

    def _shared(self) -> set[int]:
        """Values of which some layer reads a part, and those that are read beside them."""
        sources = [c for layer in self.network.layers for c in layer.sources]
        counts = [
            {v: sum(1 for w, _ in channels if w == v) for v, _ in channels} for channels in sources
        ]
        shared = {
            v
            for parts in counts
            for v, count in parts.items()
            if v in self.whole and count < self.network.values[v].channels
        }
        while True:
            beside = {
                v for parts in counts if shared & set(parts) for v in parts if v in self.whole
            }
            if beside <= shared:
                return shared
            shared |= beside

    def _pools(self, shared: set[int]) -> Iterable[list[int]]:
        """By size, in the order in which they are written."""
        sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for v in sorted(shared, key=lambda v: int(self.schedule.birth[v][0])):
            sizes[self.network.values[v].height, self.network.values[v].width].append(v)
        return sizes.values()

    def _pool(self, members: Sequence[int]) -> None:
        """One buffer, in which a channel lies where another one is needed no longer."""
        birth, death = self.schedule.birth, self.schedule.death
        height, width = (
            self.network.values[members[0]].height,
            self.network.values[members[0]].width,
        )
        ends: list[np.ndarray] = []  # By column: when each row is free again.
        for value in members:
            count = self.network.values[value].channels
            order = sorted(range(count), key=lambda c: (self.read_by[value, c], c))
            free = [n for n, end in enumerate(ends) if bool(np.all(end < birth[value]))]
            for _ in range(count - len(free)):
                free.append(len(ends))
                ends.append(np.full(height, -1))
            columns = np.zeros(count, int)
            for column, channel in zip(_neighbours(free, count), order, strict=True):
                columns[channel] = column
                ends[column] = np.maximum(death[value][:, channel], birth[value])
            self.columns[value], self.buffer[value] = columns, len(self.buffers)
        first = np.min([birth[v] for v in members], axis=0)
        last = np.max([death[v].max(1, initial=-1) for v in members], axis=0) | _WHOLE_STEP
        self.buffers.append(
            Buffer(f"values {members[0]} to {members[-1]}", width, len(ends), height)
        )
        self.lives.append(np.stack([first, last], 1))

    def _dense(self, value: int, layer: Layer | None) -> None:
        """A buffer of its own, of all rows or of those in flight."""
        about = self.network.values[value]
        self.columns[value] = np.arange(about.channels)
        if layer is not None and layer.kind != "conv":
            self.columns[value] = self._as_source(layer)
        birth = self.schedule.birth[value]
        death = np.maximum(self.schedule.death[value].max(1, initial=-1), birth) | _WHOLE_STEP
        step = 1 if layer is None else at_once(layer)
        rows = about.height if value in self.whole else _in_flight(birth, death, step)
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


def _in_flight(birth: np.ndarray, death: np.ndarray, step: int) -> int:
    """Rows between the oldest that is needed and the newest, at any time."""
    most = 0
    for y in range(0, len(birth), step):
        oldest = int(np.flatnonzero(death >= birth[y])[0])
        most = max(most, min(y + step, len(birth)) - oldest)
    return most


def pack(buffers: Sequence[Buffer], lives: Sequence[np.ndarray]) -> tuple[tuple[Buffer, ...], int]:
    """Offsets at which no two rows that are needed at the same time overlap, and bytes in all."""
    best: dict[int, int] = {}
    least = -1
    orders = [
        sorted(range(len(buffers)), key=lambda n: -buffers[n].bytes),
        sorted(range(len(buffers)), key=lambda n: -int(np.ptp(lives[n])) * buffers[n].bytes),
        sorted(range(len(buffers)), key=lambda n: (int(lives[n].min()), -buffers[n].bytes)),
    ]
    for order in orders:
        placed: dict[int, int] = {}
        for number in order:
            placed[number] = _lowest(number, placed, buffers, lives)
        end = max(offset + buffers[n].bytes for n, offset in placed.items())
        if least < 0 or end < least:
            best, least = placed, end
    return tuple(replace(b, offset=best[n]) for n, b in enumerate(buffers)), least


def _lowest(
    number: int, placed: dict[int, int], buffers: Sequence[Buffer], lives: Sequence[np.ndarray]
) -> int:
    """The lowest offset that no row of those placed forbids."""
    mine, life = buffers[number], lives[number]
    starts = np.arange(mine.rows) * mine.row_bytes
    forbidden: list[np.ndarray] = []  # (n, 2): offsets above the first and below the second.
    for other, offset in placed.items():
        theirs = buffers[other]
        both = (life[:, None, 0] <= lives[other][None, :, 1]) & (
            lives[other][None, :, 0] <= life[:, None, 1]
        )
        i, j = np.nonzero(both)
        at = offset + j * theirs.row_bytes - starts[i]
        forbidden.append(np.stack([at - mine.row_bytes, at + theirs.row_bytes], 1))
    if not forbidden:
        return 0
    spans = np.concatenate(forbidden)
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    lowest = 0
    for low, high in spans:
        if low >= lowest:
            break
        lowest = max(lowest, int(high))
    return lowest
