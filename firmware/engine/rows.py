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
    row is read for the last time, -1 for never.
    """

    steps: tuple[tuple[int, int], ...]
    birth: Mapping[int, np.ndarray]
    death: Mapping[int, np.ndarray]


def at_once(layer: Layer) -> int:
    """Rows of output that a step computes."""
    return 2 if layer.kind == "depthwise" and layer.stride == 1 else 1


def is_pointwise(layer: Layer) -> bool:
    """Are all channels of a pixel read before the same pixel is written, and no other read?"""
    return layer.kind == "conv" and layer.kernel == 1


class Rows:
    """Rows that each step of each layer reads, whatever the order."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.heights = [value.height for value in network.values]
        self.sources = [self._sources(layer) for layer in network.layers]
        self.reads = [self._reads(layer) for layer in network.layers]

    def _sources(self, layer: Layer) -> list[tuple[int, np.ndarray]]:
        """(value, its channels) of all sources."""
        found: list[tuple[int, np.ndarray]] = []
        for channels in layer.sources:
            for value in sorted({v for v, _ in channels}):
                found.append((value, np.array([c for v, c in channels if v == value])))
        return found

    def _reads(self, layer: Layer) -> list[np.ndarray]:
        """By step. All sources of a layer have one height."""
        height = self.heights[layer.sources[0][0][0]]
        own, step = self.heights[layer.value], at_once(layer)
        return [
            np.unique(
                [r for row in range(y, min(y + step, own)) for r in rows_read(layer, row, height)]
            )
            for y in range(0, own, step)
        ]

    def schedule(self, groups: Sequence[Sequence[int]]) -> Schedule:
        """Run the groups one after another."""
        run = _Run(self)
        for group in groups:
            run.group(group)
        return Schedule(tuple(run.steps), run.birth, run.death)


class _Run:
    def __init__(self, rows: Rows) -> None:
        self.rows, self.layers = rows, rows.network.layers
        values = rows.network.values
        self.steps: list[tuple[int, int]] = []
        self.birth = {v: np.full(value.height, -1) for v, value in enumerate(values)}
        self.death = {v: np.full((x.height, x.channels), -1) for v, x in enumerate(values)}
        self.written = [0] * len(values)  # Rows of each value so far.
        self.needs = [  # The last row of its sources that each step needs.
            [int(rows[-1]) for rows in reads] for reads in rows.reads
        ]

    def group(self, group: Sequence[int]) -> None:
        fetches = any(v == 0 for n in group for v, _ in self.rows.sources[n])
        image = self.rows.heights[0]
        while True:
            for number in reversed(group):
                if self._can_go(number):
                    self._step(number)
                    break
            else:
                if not fetches or self.written[0] == image:
                    break
                self._write(INPUT, 0, 1)
        for number in group:
            value = self.layers[number].value
            assert self.written[value] == self.rows.heights[value], self.layers[number].name

    def _can_go(self, number: int) -> bool:
        layer = self.layers[number]
        y = self.written[layer.value]
        if y == self.rows.heights[layer.value]:
            return False
        last = self.needs[number][y // at_once(layer)]
        return all(self.written[value] > last for value, _ in self.rows.sources[number])

    def _step(self, number: int) -> None:
        layer = self.layers[number]
        step = at_once(layer)
        rows = self.rows.reads[number][self.written[layer.value] // step]
        now = 2 * len(self.steps) + (not is_pointwise(layer))
        for value, channels in self.rows.sources[number]:
            if len(channels) == self.death[value].shape[1]:
                self.death[value][rows] = now
            else:
                self.death[value][rows[:, None], channels] = now
        self._write(number, layer.value, step)

    def _write(self, number: int, value: int, step: int) -> None:
        y = self.written[value]
        end = min(y + step, self.rows.heights[value])
        self.birth[value][y:end] = 2 * len(self.steps) + 1
        self.written[value] = end
        self.steps.append((number, y))
