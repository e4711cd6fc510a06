"""Where buffers lie in the arena."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Block:
    """A buffer to be placed. lives: (rows, 2), first and last half step at which each row is
    needed."""

    row_bytes: int
    lives: np.ndarray

    @property
    def bytes(self) -> int:
        """Of all rows."""
        return self.row_bytes * len(self.lives)


Spans = list[tuple[int, int, int]]


def place(blocks: Sequence[Block], tries: int, goal: int = 0) -> tuple[list[int], int]:
    """Offsets at which no two rows that are needed at the same time overlap, and bytes in all; the
    best of so many orders in which blocks are placed, each as low as possible."""
    search = _Search([block.bytes for block in blocks], _spans(blocks))
    sizes = search.sizes
    length = [int(np.ptp(block.lives)) for block in blocks]
    born = [int(block.lives.min()) for block in blocks]
    numbers = range(len(blocks))
    starts = [
        sorted(numbers, key=lambda n: -sizes[n]),
        sorted(numbers, key=lambda n: -length[n] * sizes[n]),
        sorted(numbers, key=lambda n: (born[n], -sizes[n])),
    ]
    found = [(*search.placed(order), order) for order in starts]
    offsets, least, order = min(found, key=lambda one: one[1])
    chance = random.Random(0)
    for _ in range(tries):
        if least <= goal:
            break
        top = [n for n in numbers if offsets[n] + sizes[n] == least]
        moved = chance.choice(top if chance.random() < 0.5 else order)
        tried = [n for n in order if n != moved]
        tried.insert(chance.randrange(len(order)), moved)
        others, end = search.moved(tried, moved, offsets, least)
        if end <= least:
            offsets, least, order = others, end, tried
    return offsets, least


class _Search:
    """Places blocks in one order after another."""

    def __init__(self, sizes: list[int], spans: list[Spans]) -> None:
        self.sizes, self._spans = sizes, spans
        self._near = [frozenset(other for other, _, _ in one) for one in spans]

    def placed(self, order: Sequence[int]) -> tuple[list[int], int]:
        """Each block at the lowest offset that those before it leave; and bytes in all."""
        offsets = [-1] * len(self.sizes)
        for number in order:
            offsets[number] = self._lowest(number, offsets)
        return offsets, max(map(sum, zip(offsets, self.sizes)))

    def moved(
        self, order: Sequence[int], moved: int, before: list[int], most: int
    ) -> tuple[list[int], int]:
        """The same of an order in which one block has moved since it gave `before`; what is not
        near to a change stays. Gives up above `most` bytes."""
        offsets, end, changed = [-1] * len(self.sizes), 0, {moved}
        for number in order:
            lowest = before[number]
            if number == moved or not changed.isdisjoint(self._near[number]):
                lowest = self._lowest(number, offsets)
                if lowest != before[number]:
                    changed.add(number)
            offsets[number] = lowest
            end = max(end, lowest + self.sizes[number])
            if end > most:
                break
        return offsets, end

    def _lowest(self, number: int, offsets: Sequence[int]) -> int:
        forbidden = sorted(
            (at + low, at + high)
            for other, low, high in self._spans[number]
            if (at := offsets[other]) >= 0
        )
        lowest = 0
        for low, high in forbidden:
            if low >= lowest:
                break
            if high > lowest:
                lowest = high
        return lowest


def _spans(blocks: Sequence[Block]) -> list[Spans]:
    """By block: another one, and between which offsets, relative to that one's, it must not lie."""
    found: list[Spans] = [[] for _ in blocks]
    first = [int(block.lives[:, 0].min()) for block in blocks]
    last = [int(block.lives[:, 1].max()) for block in blocks]
    for one, block in enumerate(blocks):
        for other in range(one):
            if first[one] > last[other] or first[other] > last[one]:
                continue
            for low, high in _between(block, blocks[other]):
                found[one].append((other, low, high))
                found[other].append((one, -high, -low))
    return found


def _between(one: Block, other: Block) -> list[tuple[int, int]]:
    mine, theirs = one.lives, other.lives
    both = (mine[:, None, 0] <= theirs[None, :, 1]) & (theirs[None, :, 0] <= mine[:, None, 1])
    i, j = np.nonzero(both)
    at = np.unique(j * other.row_bytes - i * one.row_bytes)
    ranges: list[tuple[int, int]] = []
    for low, high in zip(
        (at - one.row_bytes).tolist(), (at + other.row_bytes).tolist(), strict=True
    ):
        if ranges and low < ranges[-1][1]:
            ranges[-1] = ranges[-1][0], high
        else:
            ranges.append((low, high))
    return ranges
