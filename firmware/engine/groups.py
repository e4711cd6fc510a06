"""Which layers work row by row together, so that what lies between them need not be whole."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from firmware.engine.layers import Network

Groups = tuple[tuple[int, ...], ...]


def readers(network: Network) -> dict[int, list[int]]:
    """Layers that read each value."""
    found: dict[int, list[int]] = defaultdict(list)
    for number, layer in enumerate(network.layers):
        for value in sorted({v for channels in layer.sources for v, _ in channels}):
            found[value].append(number)
    return found


def ordered(network: Network, streamed: Iterable[int]) -> Groups | None:
    """Groups in which every value of `streamed` lies between layers of one group, in an order in
    which each group's sources come before it; None where there is no such order."""
    parent = list(range(len(network.layers)))

    def top(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    reading = readers(network)
    writer = {layer.value: number for number, layer in enumerate(network.layers)}
    for value in streamed:
        for number in reading[value]:
            one, other = sorted((top(writer[value]), top(number)))
            parent[other] = one
    members: dict[int, list[int]] = defaultdict(list)
    for number in range(len(network.layers)):
        members[top(number)].append(number)
    needs = {
        group: {
            top(writer[v])
            for n in numbers
            for channels in network.layers[n].sources
            for v, _ in channels
            if v in writer
        }
        - {group}
        for group, numbers in members.items()
    }
    done: list[int] = []
    while len(done) < len(members):
        free = [g for g in members if g not in done and needs[g] <= set(done)]
        if not free:
            return None
        # What follows the last group first: its values are needed no longer, then.
        free.sort(key=lambda g: (bool(done) and done[-1] not in needs[g], members[g][0]))
        done.append(free[0])
    return tuple(tuple(members[group]) for group in done)


def choose(network: Network, candidates: Sequence[int], cost: Callable[[Groups], float]) -> Groups:
    """The groups that cost least, one value after another streamed where that pays.

    candidates: values that may be streamed, the most promising first.
    """
    streamed: list[int] = []
    best = ordered(network, streamed)
    assert best is not None
    least, before = cost(best), math.inf
    while least < before:  # One that did not pay may do so now.
        before = least
        for value in [v for v in candidates if v not in streamed]:
            found = ordered(network, [*streamed, value])
            if found is not None and (price := cost(found)) <= least:
                best, least = found, price
                streamed.append(value)
    return best
