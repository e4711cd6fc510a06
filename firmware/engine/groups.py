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
_MORE = 1.2  # Times the least peak of all orders: one that is looked at more closely.

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
        self.highest = np.inf  # Peak of the groups found last.
        self.known = np.zeros((len(order) + 1,) * 2, bool)
        self._estimate()

    def _estimate(self) -> None:
        """Peaks of all groups order[i:j], with the least rings that there can be."""
        count = len(self.order)
        written, part_read, value_read, size, ring = np.array(list(self._parts())).T

        def sums(read: np.ndarray, amount: np.ndarray) -> np.ndarray:
            """[i + 1, j]: of what is written before i and read for the last time before j."""
            table = np.zeros((count + 2, count + 1))
            np.add.at(table, (written + 2, read + 1), amount)
            result: np.ndarray = table.cumsum(0).cumsum(1)
            return result

        parts, values = (sums(read, size * (written >= 0)) for read in (part_read, value_read))
        rings = sums(value_read, ring)
        i, j = np.arange(count + 1)[:, None], np.arange(count + 1)[None, :]
        through = parts[i + 1, count] - parts[i + 1, j]
        read = parts[i + 1, j] - parts[i + 1, i]
        made = values[j + 1, count] - values[j + 1, j] - values[i + 1, count] + values[i + 1, j]
        self.outside = through + np.maximum(read, made)
        self.peak = self.outside + rings[j + 1, j] - np.where(i, rings[i + 1, j], 0)
        # The image's rows are there once: for the first group.
        fetched = value_read[written == -1].max()
        self.peak[(i >= j) | ((i == 0) & (j <= fetched))] = np.inf

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
            self.highest = max(self.peak[i, j] for i, j in edges)
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
    cuts = [Cuts(rows, order) for order in dict.fromkeys(orders(rows))]
    found = {one.best(_POWERS[0]): None for one in cuts}
    least = min(one.highest for one in cuts)
    for one in cuts:
        for power in _POWERS[1:] if one.highest <= _MORE * least else ():
            found[one.best(power)] = None
    return list(found)
