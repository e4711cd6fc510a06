"""In which order rows are computed, and how long each is needed.

Layers of a group work row by row: as soon as the rows that one reads are there, it goes on. Between
groups, values are whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from firmware.engine.layers import Layer, Network, rows_read

INPUT = -1  # Stands for the layer that fetches the image's rows.


@dataclass(frozen=True)
class Schedule:
    """steps: (layer, first row) in order; layer `INPUT` fetches a row of the image.

    Times are half steps: step t reads at 2 t, and at 2 t + 1 reads what lies around a pixel, and
    writes. birth: by value, when each row is written. death: by value, when each channel of each
    row is read for the last time.
    """

    steps: tuple[tuple[int, int], ...]
    birth: Mapping[int, np.ndarray]
    death: Mapping[int, np.ndarray]
    widths: Mapping[int, int]

    def live_bytes(self) -> np.ndarray:
        """Of all values, at each half step."""
        change = np.zeros(2 * len(self.steps) + 2, np.int64)
        for value, birth in self.birth.items():
            alive = np.maximum(self.death[value], birth[:, None])
            pixels = self.widths[value]
            np.add.at(change, birth, pixels * alive.shape[1])
            np.add.at(change, alive.ravel() + 1, -pixels)
        result: np.ndarray = change.cumsum()
        return result


def at_once(layer: Layer) -> int:
    """Rows of output that a step computes."""
    return 2 if layer.kind == "depthwise" and layer.stride == 1 else 1


def step_rows(network: Network, layer: Layer, y: int) -> range:
    """Rows that the step at `y` writes."""
    return range(y, min(y + at_once(layer), network.values[layer.value].height))


def step_reads(network: Network, layer: Layer, y: int, source: int) -> list[int]:
    """Rows of a source, by its position, that the step at `y` reads."""
    height = network.values[layer.sources[source][0][0]].height
    found: set[int] = set()
    for row in step_rows(network, layer, y):
        found.update(rows_read(layer, row, height))
    return sorted(found)


def schedule(network: Network, groups: Sequence[Sequence[int]]) -> Schedule:
    """Run the groups one after another."""
    run = _Run(network)
    for group in groups:
        run.group(group)
    widths = {v: value.width for v, value in enumerate(network.values)}
    return Schedule(tuple(run.steps), run.birth, run.death, widths)


def is_pointwise(layer: Layer) -> bool:
    """Does each pixel depend on the same pixel of its sources alone?"""
    return layer.kind in ("conv", "add") and layer.kernel == 1


def _by_value(channels: Sequence[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for value, channel in channels:
        found.setdefault(value, []).append(channel)
    return found


class _Run:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.steps: list[tuple[int, int]] = []
        values = network.values
        self.birth = {v: np.full(value.height, -1) for v, value in enumerate(values)}
        self.death = {v: np.full((x.height, x.channels), -1) for v, x in enumerate(values)}
        self.written = [0] * len(values)  # Rows of each value so far.
        self.reads = [[_by_value(channels) for channels in x.sources] for x in network.layers]

    def group(self, group: Sequence[int]) -> None:
        while True:
            for number in reversed(group):
                if self._can_go(self.network.layers[number]):
                    self._step(number)
                    break
            else:
                first = [n for n in group if 0 in self._values(self.network.layers[n])]
                image = self.network.values[0].height
                if not first or self.written[0] == image:
                    break
                self._write(INPUT, 0, range(self.written[0], self.written[0] + 1))
        for number in group:
            value = self.network.layers[number].value
            assert self.written[value] == self.network.values[value].height

    def _values(self, layer: Layer) -> set[int]:
        return {value for channels in layer.sources for value, _ in channels}

    def _can_go(self, layer: Layer) -> bool:
        y = self.written[layer.value]
        if y == self.network.values[layer.value].height:
            return False
        for source, channels in enumerate(layer.sources):
            last = step_reads(self.network, layer, y, source)[-1]
            if any(self.written[value] <= last for value in {v for v, _ in channels}):
                return False
        return True

    def _step(self, number: int) -> None:
        layer = self.network.layers[number]
        y, pointwise = self.written[layer.value], is_pointwise(layer)
        for source in range(len(layer.sources)):
            rows = step_reads(self.network, layer, y, source)
            for value, places in self.reads[number][source].items():
                self.death[value][np.ix_(rows, places)] = 2 * len(self.steps) + (not pointwise)
        self._write(number, layer.value, step_rows(self.network, layer, y))

    def _write(self, number: int, value: int, rows: range) -> None:
        self.birth[value][rows.start : rows.stop] = 2 * len(self.steps) + 1
        self.written[value] = rows.stop
        self.steps.append((number, rows.start))
