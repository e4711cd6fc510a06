"""Which layers work row by row together, so that what lies between them need not be whole.

Groups are what an order of all layers is cut into. A group's peak is estimated from what lies
there before and behind it and from the rows in flight within it; of all cuts, the best is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from firmware.engine.layers import Layer
from firmware.engine.rows import INPUT, Rows, at_once, in_flight

_POWERS = 64, 16, 8  # Of peaks: how much the highest alone counts.

Groups = tuple[tuple[int, ...], ...]
Order = tuple[int, ...]


def orders(rows: Rows) -> Iterator[Order]:
    """Orders in which layers can be computed: each as late as possible, and variants in which some
    of those that read what was written long before come at once."""
    count = len(rows.network.layers)
    for backwards in (False, True):
        late = _late(rows, range(count), backwards)
        yield late
        place = {n: i for i, n in enumerate(late)}
        waiting = [
            n for n in late
            if max(place.get(rows.writer[v], -1) for v, _ in rows.sources[n]) < place[n] - 3
        ]  # fmt: skip
        early = late
        for number in waiting:
            early = moved(rows, early, number)
            yield early


def moved(rows: Rows, order: Order, number: int) -> Order:
    """The order with a layer right behind the last that it needs."""
    rest = [n for n in order if n != number]
    needs = {rows.writer[v] for v, _ in rows.sources[number]}
    at = max((rest.index(n) + 1 for n in needs if n != INPUT), default=0)
    return (*rest[:at], number, *rest[at:])


def _late(rows: Rows, sinks: Sequence[int], backwards: bool) -> Order:
    """Each layer right before the first that reads it."""
    done: dict[int, None] = {}

    def visit(number: int) -> None:
        if number in done or number == INPUT:
            return
        needs = [rows.writer[v] for v, _ in rows.sources[number]]
        for need in reversed(needs) if backwards else needs:
            visit(need)
        done[number] = None

    read = {v for sources in rows.sources for v, _ in sources}
    for number in sinks:
        if rows.network.layers[number].value not in read:
            visit(number)
    return tuple(done)


class Cuts:
    """Estimates for all groups of neighbours in an order."""

    def __init__(self, rows: Rows, order: Order) -> None:
        self.rows, self.order = rows, order
        self.place = {n: i for i, n in enumerate(order)} | {INPUT: -1}
        self.ring_bytes = _ring_bytes(rows)
        count = len(order)
        parts = np.array(list(self._parts()))
        written, part_read, value_read, size, ring = parts.T
        self.peak = np.full((count + 1, count + 1), np.inf)
        self.known = np.zeros((count + 1, count + 1), bool)
        self.outside = np.zeros((count + 1, count + 1))
        for i in range(count):
            before = written < i
            for j in range(i + 1, count + 1):
                if np.any((written == -1) & (value_read >= j)) and i == 0:
                    continue  # The image's rows are there once.
                inside = (written >= i) & (written < j)
                if i == 0:
                    inside |= written == -1
                through = size[before & (written >= 0) & (part_read >= j)].sum()
                read = size[before & (written >= 0) & (part_read >= i) & (part_read < j)].sum()
                made = size[inside & (value_read >= j)].sum()
                self.outside[i, j] = through + max(read, made)
                self.peak[i, j] = self.outside[i, j] + ring[inside & (value_read < j)].sum()

    def _parts(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Channels of a value that the same layers read: where they are written, where they, and
        where any of the value's are read for the last time, bytes, and bytes of the least ring."""
        network = self.rows.network
        for value, about in enumerate(network.values):
            lasts = np.full(about.channels, self.place[self.rows.writer[value]])
            for number in self.rows.readers[value]:
                for source, channels in self.rows.sources[number]:
                    if source == value:
                        lasts[channels] = np.maximum(lasts[channels], self.place[number])
            for last in np.unique(lasts):
                share = int((lasts == last).sum())
                size = about.height * about.width * share
                ring = self.ring_bytes[value] * share // about.channels
                yield self.place[self.rows.writer[value]], int(last), int(lasts.max()), size, ring

    def best(self, power: float) -> Groups:
        """Groups for which the sum of all peaks' powers is least."""
        while True:
            edges = self._cut(power)
            unknown = [(i, j) for i, j in edges if not self.known[i, j]]
            if not unknown:
                return tuple(self.order[i:j] for i, j in edges)
            for i, j in unknown:
                self.known[i, j] = True
                self.peak[i, j] = self.outside[i, j] + self._rings(self.order[i:j])

    def _cut(self, power: float) -> list[tuple[int, int]]:
        count = len(self.order)
        cost = (self.peak / self.peak[np.isfinite(self.peak)].max()) ** power
        least, before = np.zeros(count + 1), np.zeros(count + 1, int)
        for j in range(1, count + 1):
            sums = least[:j] + cost[:j, j]
            before[j] = int(sums.argmin())
            least[j] = sums[before[j]]
        edges, j = [], count
        while j:
            edges.append((int(before[j]), j))
            j = int(before[j])
        return edges[::-1]

    def _rings(self, group: tuple[int, ...]) -> int:
        """Bytes of all rows in flight."""
        run, inside, total = self.rows.run(group), set(group), 0
        for value, birth in run.birth.items():
            readers = self.rows.readers[value]
            if not readers or not inside.issuperset(readers):
                continue
            death = np.max([run.reads[n, value] for n in readers], axis=0)
            about = self.rows.network.values[value]
            total += in_flight(birth, death) * about.width * about.channels
        return total


def _ring_bytes(rows: Rows) -> list[int]:
    """By value: rows in flight at the least."""

    def window(layer: Layer) -> int:
        return (layer.kernel - 1) * (layer.stride < layer.kernel) + at_once(layer)

    found = []
    for value, about in enumerate(rows.network.values):
        windows = [window(rows.network.layers[n]) for n in rows.readers[value]]
        found.append(min(max(windows, default=0), about.height) * about.width * about.channels)
    return found


def candidates(rows: Rows) -> list[Groups]:
    """Groups worth a look, each once."""
    found: dict[Groups, None] = {}
    for order in dict.fromkeys(orders(rows)):
        cuts = Cuts(rows, order)
        for power in _POWERS:
            found[cuts.best(power)] = None
    return list(found)
