"""Runs a plan byte by byte: nothing is read but what was written for it.

A 1x1 convolution reads and writes pixel by pixel here. The library reads several before it writes
any of them: then the more holds, for no pixel overwrites what a later one reads.
"""

from __future__ import annotations

import numpy as np

from firmware.engine.layers import Layer
from firmware.engine.plan import Plan
from firmware.engine.rows import INPUT, Rows, at_once, is_pointwise

_NOBODY = -1


def check(plan: Plan) -> None:
    """Raises `ValueError` at the first byte that is overwritten too early, or never written."""
    _Run(plan).run()


class _Run:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.network, self.storage = plan, plan.network, plan.storage
        self.rows = Rows(plan.network)
        self.owner = np.full(plan.storage.arena_bytes, _NOBODY, np.int64)
        sizes = [v.height * v.width * v.channels for v in plan.network.values]
        self.first = np.concatenate([[0], np.cumsum(sizes)])  # Number of each value's first byte.

    def run(self) -> None:
        scratch = self.storage.buffers[-1]
        for number, y in self.plan.schedule.steps:
            if number == INPUT:
                self._write(0, y)
                continue
            self.owner[scratch.offset : scratch.offset + scratch.bytes] = _NOBODY
            layer = self.network.layers[number]
            step = at_once(layer)
            reads = [
                (value, int(row), channels)
                for value, channels in self.rows.sources[number]
                for row in self.rows.read(number, y // step, value)
            ]
            rows = range(y, min(y + step, self.network.values[layer.value].height))
            self._step(layer, reads, rows)

    def _step(self, layer: Layer, reads: list[tuple[int, int, np.ndarray]], rows: range) -> None:
        last_read = np.full(len(self.owner), -1)  # By byte: the last pixel that reads it.
        for value, row, channels in reads:
            places, wanted = self._bytes(value, row, channels)
            if not np.array_equal(self.owner[places], wanted):
                raise ValueError(f"{layer.name}: row {row} of value {value} is not there")
            pixels = np.arange(len(places))[:, None] if is_pointwise(layer) else len(places)
            last_read[places] = np.maximum(last_read[places], pixels)
        for row in rows:
            made = self._write(layer.value, row)
            if (last_read[made] > np.arange(len(made))[:, None]).any():
                raise ValueError(f"{layer.name}, row {row}: it overwrites what it reads")

    def _bytes(self, value: int, row: int, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Addresses of a row's channels, and the numbers of what belongs there."""
        about = self.network.values[value]
        if not about.channels:
            return np.zeros((about.width, 0), int), np.zeros((about.width, 0), int)
        buffer = self.storage.buffers[self.storage.buffer[value]]
        pixels = np.arange(about.width)[:, None]
        start = buffer.offset + row % buffer.rows * buffer.row_bytes
        places = start + pixels * buffer.pitch + self.storage.columns[value][channels]
        at = (row * about.width + pixels) * about.channels + channels
        return places, self.first[value] + at

    def _write(self, value: int, row: int) -> np.ndarray:
        places, made = self._bytes(value, row, np.arange(self.network.values[value].channels))
        self.owner[places] = made
        return places
