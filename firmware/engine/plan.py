"""An int8 TFLite file as a plan: layers, rows in order, and where everything lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firmware.engine import groups
from firmware.engine.layers import Network
from firmware.engine.pack import blocks
from firmware.engine.rows import Rows, Schedule
from firmware.engine.storage import Storage, store

_TRIES = 100  # Ways to pack.
_FINALISTS = 4  # Groups that are packed with more care.


@dataclass(frozen=True)
class Plan:
    """groups: layers that work row by row together, in order."""

    network: Network
    groups: groups.Groups
    schedule: Schedule
    storage: Storage


def make_plan(network: Network) -> Plan:
    """The plan that needs the least memory of those tried."""
    rows, scratch = Rows(network), scratch_bytes(network)

    def stored(tried: groups.Groups, tries: int) -> Storage:
        return store(rows, rows.schedule(tried), _whole(network, tried), scratch, tries)

    found = groups.candidates(rows)
    first = {tried: stored(tried, _TRIES).arena_bytes for tried in found}
    best = sorted(found, key=first.__getitem__)[:_FINALISTS]
    finals = {tried: stored(tried, 20 * _TRIES) for tried in best}
    chosen = min(finals, key=lambda tried: finals[tried].arena_bytes)
    return Plan(network, chosen, rows.schedule(chosen), finals[chosen])


def _whole(network: Network, chosen: Sequence[Sequence[int]]) -> set[int]:
    """Values that another group reads."""
    group = {layer: g for g, members in enumerate(chosen) for layer in members}
    writer = {layer.value: number for number, layer in enumerate(network.layers)}
    return {
        value
        for number, layer in enumerate(network.layers)
        for channels in layer.sources
        for value, _ in channels
        if value in writer and group[writer[value]] != group[number]
    }


def scratch_bytes(network: Network) -> int:
    """What the layer that needs most takes, as the C library counts it."""
    most = 0
    for layer in network.layers:
        width = network.values[layer.value].width
        if layer.kind == "conv":
            outputs, _, _, inputs = layer.weight.shape  # type: ignore[union-attr]
            reads = whole_words(inputs * layer.kernel**2)
            writes = -(-outputs // 2) * 2
            pixels = blocks(reads, writes, width).pixels
            most = max(most, 2 * pixels * reads + 3 * reads + 4)
        elif layer.kind == "depthwise":
            one = layer.stride == 1
            words = (layer.kernel + 2) // 2 if one else layer.kernel
            columns = -(-width // 2) * 2 + (layer.kernel - 1) // (1 if one else 2)
            most = max(most, 16 * whole_twos(words) * columns)
    return most


def whole_twos(count: int) -> int:
    """The next multiple of 2."""
    return -(-count // 2) * 2


def whole_words(count: int) -> int:
    """The next multiple of 4."""
    return -(-count // 4) * 4
