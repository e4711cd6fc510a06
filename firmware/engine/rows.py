"""In which order rows are computed, and how long each is needed.

Layers of a group work row by row: as soon as the rows that one reads are there, it goes on. Between
groups, values are whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from firmware.engine.layers import Layer, Network, rows_read

INPUT = -1  # Stands for the layer that fetches the image's rows.


@dataclass(frozen=True)
class Schedule:
    """steps: (layer, first row) in order; layer `INPUT` fetches a row of the image.

    Times are half steps: step t reads at 2 t, and at 2 t + 1 reads what lies around a pixel, and
    writes. birth: by value, when each row is written. death: by value, when each channel of each
    row is read for the last time, -1 for never.
    """

    steps: tuple[tuple[int, int], ...]
    birth: Mapping[int, np.ndarray]
    death: Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Run:
    """A group by itself, in half steps from its beginning.

    layers: in order, one per step. birth: by value. reads: by layer and value, when each row is
    read for the last time, -1 for never.
    """

    layers: tuple[int, ...]
    birth: Mapping[int, np.ndarray]
    reads: Mapping[tuple[int, int], np.ndarray]


def at_once(layer: Layer) -> int:
    """Rows of output that a step computes."""
    return 2 if layer.kind == "depthwise" and layer.stride == 1 else layer.together


def is_pointwise(layer: Layer) -> bool:
    """Are all channels of a pixel read before the same pixel is written, and no other read?"""
    return layer.kind == "conv" and layer.kernel == layer.stride == 1


def in_flight(birth: np.ndarray, death: np.ndarray) -> int:
    """Rows between the oldest that is needed and the newest, at any time."""
    latest = np.maximum.accumulate(np.maximum(birth, death))
    oldest = np.searchsorted(latest, birth)
    newest = np.searchsorted(birth, birth, side="right")
    return int((newest - oldest).max())


class Rows:
    """Rows that each step of each layer reads, and runs of groups."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.heights = [value.height for value in network.values]
        self.sources = [self._sources(layer) for layer in network.layers]
        self.reads = [self._reads(layer) for layer in network.layers]
        self.writer = {layer.value: n for n, layer in enumerate(network.layers)} | {0: INPUT}
        self.readers: dict[int, list[int]] = defaultdict(list)  # Of each value.
        for number, sources in enumerate(self.sources):
            for value in sorted({v for v, _ in sources}):
                self.readers[value].append(number)
        self.parts = [  # Of each input of each layer: how many channels of which value.
            Counter(v for v, _ in channels)
            for layer in network.layers
            for channels in layer.sources
        ]
        self.channel_readers: dict[int, list[tuple[int, ...]]] = {
            v: [()] * x.channels for v, x in enumerate(network.values)
        }
        for number, sources in enumerate(self.sources):
            for value, channels in sources:
                for c in channels:
                    self.channel_readers[value][c] += (number,)
        self.needs = [[int(rows[-1]) for rows in reads] for reads in self.reads]
        self._last = {
            (number, value): self._last_steps(number, value)
            for number, sources in enumerate(self.sources)
            for value in {v for v, _ in sources}
        }
        self._runs: dict[tuple[int, ...], Run] = {}

    def _sources(self, layer: Layer) -> list[tuple[int, np.ndarray]]:
        """(value, its channels) of all sources."""
        found: list[tuple[int, np.ndarray]] = []
        for channels in layer.sources:
            for value in sorted({v for v, _ in channels}):
                found.append((value, np.array([c for v, c in channels if v == value])))
        return found

    def _reads(self, layer: Layer) -> list[np.ndarray]:
        """By step: of the first source, see `read`."""
        height = self.heights[layer.sources[0][0][0]]
        own, step = self.heights[layer.value], at_once(layer)
        return [
            np.unique(
                [r for row in range(y, min(y + step, own)) for r in rows_read(layer, row, height)]
            )
            for y in range(0, own, step)
        ]

    def read(self, number: int, step: int, value: int) -> np.ndarray:
        """Rows of a value that a step of a layer reads. A gate's only row is every row."""
        rows: np.ndarray = np.unique(np.minimum(self.reads[number][step], self.heights[value] - 1))
        return rows

    def _last_steps(self, number: int, value: int) -> np.ndarray:
        """By row of one of its sources: the last step that reads it, -1 for none."""
        last = np.full(self.heights[value], -1)
        for step in range(len(self.reads[number])):
            last[self.read(number, step, value)] = step
        return last

    def run(self, group: tuple[int, ...]) -> Run:
        """The group by itself; what it reads from other groups is there."""
        if group not in self._runs:
            self._runs[group] = self._timed(_Group(self, group).layers())
        return self._runs[group]

    def _timed(self, layers: tuple[int, ...]) -> Run:
        sequence = np.array(layers)
        birth: dict[int, np.ndarray] = {}
        reads: dict[tuple[int, int], np.ndarray] = {}
        for number in sorted(set(layers)):
            times = np.flatnonzero(sequence == number)
            value = 0 if number == INPUT else self.network.layers[number].value
            step = 1 if number == INPUT else at_once(self.network.layers[number])
            birth[value] = 2 * np.repeat(times, step)[: self.heights[value]] + 1
            if number != INPUT:
                late = not is_pointwise(self.network.layers[number])
                for v in {v for v, _ in self.sources[number]}:
                    last = self._last[number, v]
                    reads[number, v] = np.where(last < 0, -1, 2 * times[last] + late)
        return Run(layers, birth, reads)

    def schedule(self, groups: Iterable[tuple[int, ...]]) -> Schedule:
        """Run the groups one after another."""
        values = self.network.values
        steps: list[tuple[int, int]] = []
        birth = {v: np.full(value.height, -1) for v, value in enumerate(values)}
        death = {v: np.full((x.height, x.channels), -1) for v, x in enumerate(values)}
        for group in groups:
            run, start = self.run(group), 2 * len(steps)
            done: dict[int, int] = defaultdict(int)
            for number in run.layers:
                steps.append((number, done[number]))
                done[number] += 1 if number == INPUT else at_once(self.network.layers[number])
            for value, times in run.birth.items():
                birth[value] = times + start
            for number in group:
                for value, channels in self.sources[number]:
                    times = run.reads[number, value]
                    times = np.where(times < 0, -1, times + start)[:, None]
                    death[value][:, channels] = np.maximum(death[value][:, channels], times)
        return Schedule(tuple(steps), birth, death)


class _Group:
    """A layer that reads nothing of the group computes a row when one is wanted, all others as soon
    as they can, the last one first."""

    def __init__(self, rows: Rows, group: Sequence[int]) -> None:
        self.rows, self.order = rows, list(group)
        network = rows.network
        self.value = {n: network.layers[n].value for n in group}
        self.step = {n: at_once(network.layers[n]) for n in group}
        if any(v == 0 for n in group for v, _ in rows.sources[n]):
            self.order.insert(0, INPUT)
            self.value[INPUT], self.step[INPUT] = 0, 1
        self.written = dict.fromkeys(self.value.values(), 0)
        self.inner = {
            n: sorted({v for v, _ in rows.sources[n] if v in self.written}) if n != INPUT else []
            for n in self.order
        }
        self.left = {n: -(-rows.heights[v] // self.step[n]) for n, v in self.value.items()}
        self.done = dict.fromkeys(self.order, 0)

    def layers(self) -> tuple[int, ...]:
        """One per step."""
        place = {n: i for i, n in enumerate(self.order)}
        readers: dict[int, list[int]] = defaultdict(list)
        for n, values in self.inner.items():
            for v in values:
                readers[v].append(place[n])
        found: list[int] = []
        woken: set[int] = set()
        last = len(self.order) - 1
        while True:
            if woken:
                number = self.order[max(woken)]
                if not self._can_go(number):
                    woken.remove(place[number])
                    continue
            else:
                while last >= 0 and not self.left[self.order[last]]:
                    last -= 1
                if last < 0:
                    return tuple(found)
                number = self._wanted(self.order[last])
            found.append(number)
            self.left[number] -= 1
            self.done[number] += 1
            self.written[self.value[number]] += self.step[number]
            woken.update(readers[self.value[number]])

    def _can_go(self, number: int) -> bool:
        if not self.left[number]:
            return False
        return not any(self._lacks(number, v) for v in self.inner[number])

    def _lacks(self, number: int, value: int) -> bool:
        """Is a row of the value that the layer's next step reads not there?"""
        last = self.rows.needs[number][self.done[number]]
        return self.written[value] <= min(last, self.rows.heights[value] - 1)

    def _wanted(self, number: int) -> int:
        """What must go before a layer can."""
        while not (number == INPUT or self._can_go(number)):
            missing = next(v for v in self.inner[number] if self._lacks(number, v))
            number = self.rows.writer[missing]
        return number
