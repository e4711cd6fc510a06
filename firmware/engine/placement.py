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


def place(blocks: Sequence[Block], tries: int, goal: int = 0) -> tuple[list[int], int]:
    """Offsets at which no two rows that are needed at the same time overlap, and bytes in all; the
    best of so many orders in which blocks are placed, each as low as possible."""
    spans = _spans(blocks)
    sizes = [block.bytes for block in blocks]
    length = [int(np.ptp(block.lives)) for block in blocks]
    born = [int(block.lives.min()) for block in blocks]
    numbers = range(len(blocks))
    starts = [
        sorted(numbers, key=lambda n: -sizes[n]),
        sorted(numbers, key=lambda n: -length[n] * sizes[n]),
        sorted(numbers, key=lambda n: (born[n], -sizes[n])),
    ]
    found = [(_end(_placed(order, spans, sizes), sizes), order) for order in starts]
    least, order = min(found, key=lambda one: one[0])
    chance = random.Random(0)
    for _ in range(tries):
        if least <= goal:
            break
        offsets = _placed(order, spans, sizes)
        top = [n for n in numbers if offsets[n] + sizes[n] == least]
        moved = chance.choice(top if chance.random() < 0.5 else order)
        tried = [n for n in order if n != moved]
        tried.insert(chance.randrange(len(order)), moved)
        end = _end(_placed(tried, spans, sizes), sizes)
        if end <= least:
            least, order = end, tried
    return _placed(order, spans, sizes), least


def _end(offsets: Sequence[int], sizes: Sequence[int]) -> int:
    return max(offset + size for offset, size in zip(offsets, sizes, strict=True))


def _placed(
    order: Sequence[int], spans: Sequence[dict[int, list[tuple[int, int]]]], sizes: Sequence[int]
) -> list[int]:
    """Each block at the lowest offset that those before it leave."""
    offsets = [-1] * len(sizes)
    for number in order:
        forbidden: list[tuple[int, int]] = []
        for other, ranges in spans[number].items():
            at = offsets[other]
            if at >= 0:
                forbidden += [(at + low, at + high) for low, high in ranges]
        forbidden.sort()
        lowest = 0
        for low, high in forbidden:
            if low >= lowest:
                break
            if high > lowest:
                lowest = high
        offsets[number] = lowest
    return offsets


def _spans(blocks: Sequence[Block]) -> list[dict[int, list[tuple[int, int]]]]:
    """By block and other: between which offsets, relative to the other's, it must not lie."""
    found: list[dict[int, list[tuple[int, int]]]] = [{} for _ in blocks]
    for one, block in enumerate(blocks):
        for other in range(one):
            ranges = _between(block, blocks[other])
            if ranges:
                found[one][other] = ranges
                found[other][one] = [(-high, -low) for low, high in reversed(ranges)]
    return found


def _between(one: Block, other: Block) -> list[tuple[int, int]]:
    mine, theirs = one.lives, other.lives
    if mine[:, 1].max() < theirs[:, 0].min() or theirs[:, 1].max() < mine[:, 0].min():
        return []
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
