"""An int8 TFLite file as a plan: layers, rows in order, and where everything lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from firmware.engine import groups
from firmware.engine.layers import CONVOLUTIONS, Layer, Network
from firmware.engine.pack import Blocks, blocks, conv_words
from firmware.engine.rows import Rows, Schedule, is_pointwise
from firmware.engine.storage import Storage, draft

_TRIES = 100  # Ways to pack.
_FINALISTS = 12  # Groups that are packed with more care.


@dataclass(frozen=True)
class Plan:
    """groups: layers that work row by row together, in order. narrow: weights of kind conv lie
    in flash as int8."""

    network: Network
    groups: groups.Groups
    schedule: Schedule
    storage: Storage
    narrow: bool

    def convolution(self, layer: Layer) -> Convolution:
        """How one of `CONVOLUTIONS` is computed."""
        return convolution(self.network, layer, self.narrow)


@dataclass(frozen=True)
class Convolution:
    """inputs, outputs: channels that the kernel reads and writes. narrow: its weights are int8."""

    inputs: int
    outputs: int
    narrow: bool
    how: Blocks

    @property
    def words(self) -> int:
        """Of the stream."""
        return conv_words(self.inputs, self.outputs, self.narrow)


def make_plan(network: Network, narrow: bool = False) -> Plan:
    """The plan that needs the least memory of those tried."""
    network = Network(network.values, tuple(_together(network, x, narrow) for x in network.layers))
    rows, scratch = Rows(network), scratch_bytes(network, narrow)
    drafts = {
        tried: draft(rows, rows.schedule(tried), _whole(network, tried), scratch)
        for tried in groups.candidates(rows)
    }
    stored: dict[groups.Groups, Storage] = {}
    tried_first = sorted(drafts, key=lambda tried: drafts[tried].least_bytes)
    for tries, some in (_TRIES, tried_first), (20 * _TRIES, None):
        least = min((one.arena_bytes for one in stored.values()), default=0)
        chosen = some or sorted(stored, key=lambda tried: stored[tried].arena_bytes)[:_FINALISTS]
        for tried in chosen:
            if not least or drafts[tried].least_bytes < least:
                stored[tried] = drafts[tried].packed(tries)
                least = min(least or stored[tried].arena_bytes, stored[tried].arena_bytes)
    best = min(stored, key=lambda tried: stored[tried].arena_bytes)
    return Plan(network, best, rows.schedule(best), stored[best], narrow)


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


def convolution(network: Network, layer: Layer, narrow: bool) -> Convolution:
    """How one of `CONVOLUTIONS` is computed. The few weights of the stem are never narrow."""
    outputs, _, _, inputs = layer.weight.shape  # type: ignore[union-attr]
    reads, writes = whole_words(inputs * layer.kernel**2), whole_twos(outputs)
    narrow = narrow and layer.kind == "conv"
    target = network.values[layer.value]
    window = layer.kind == "conv" and not is_pointwise(layer)
    how = blocks(reads, writes, (target.height, target.width), narrow, window)
    return Convolution(reads, writes, narrow, how)


def _together(network: Network, layer: Layer, narrow: bool) -> Layer:
    if layer.kind not in CONVOLUTIONS:
        return layer
    return replace(layer, together=convolution(network, layer, narrow).how.rows)


def scratch_bytes(network: Network, narrow: bool) -> int:
    """What the layer that needs most takes, as the C library counts it."""
    most = 0
    for layer in network.layers:
        width = network.values[layer.value].width
        if layer.kind in CONVOLUTIONS:
            form = convolution(network, layer, narrow)
            widened = 4 * conv_words(form.inputs, form.how.block) if form.narrow else 0
            most = max(most, (2 * form.how.pixels + 3) * form.inputs + 4 + widened)
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
