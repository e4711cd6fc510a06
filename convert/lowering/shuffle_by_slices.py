"""No channel shuffle: a shuffle only renames channels, so whoever reads some is given those.

What a stage of a ShuffleNet passes around are channels of the outputs ("leaves") of its branches.
Each reader gets one concatenation of slices of leaves, and its weights are permuted to the order
in which the channels come. The rows of the convolution behind a leaf are permuted so that every
reader's share is one slice.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import fx, nn

from convert.lowering.base import Lowered, editable, finish, record_shapes, source
from convert.network.shufflenetv2 import channel_shuffle, shuffle_indices
from runtime.errors import GateFailed

# A channel by the node that computes it and its place in that node's output.
Channel = tuple[fx.Node, int]
_ACTIVATIONS = (nn.LeakyReLU, nn.ReLU, nn.ReLU6, nn.Hardswish)


@dataclass(frozen=True)
class _Slice:
    """Channels [start, stop) of a leaf; originals: which they were before its rows moved."""

    leaf: fx.Node
    start: int
    stop: int
    originals: list[int]


def apply(model: Lowered) -> Lowered:
    """Concatenations, shuffles and chunks between convolutions -> slices and concatenations."""
    module = editable(model)
    shapes = record_shapes(module, model.example_input())
    routes = _routes(module, shapes)
    readers = [n for n in routes if any(user not in routes for user in n.users)]
    shares = _shares(readers, routes)
    for leaf, parts in shares.items():
        _permute_rows(module, leaf, [c for part in parts.values() for c in part.originals])
    for reader in readers:
        slices = [parts[reader] for parts in shares.values() if reader in parts]
        _read(module, reader, slices, routes[reader], shapes)
    return finish(module, model)


def _routes(module: fx.GraphModule, shapes: dict[fx.Node, torch.Size]) -> dict[fx.Node, Any]:
    """For every node that only moves channels to, by or from a shuffle: where they come from."""
    routes: dict[fx.Node, list[Channel]] = {}

    def of(node: fx.Node) -> list[Channel]:
        return routes.get(node) or [(node, c) for c in range(shapes[node][1])]

    for node in module.graph.nodes:
        if node.target is torch.cat and all(u.target is channel_shuffle for u in node.users):
            routes[node] = [c for part in node.args[0] for c in of(part)]
        elif node.target is channel_shuffle:
            channels = of(node.args[0])
            order = shuffle_indices(len(channels), node.args[1])
            routes[node] = [channels[int(i)] for i in order]
        elif node.target == "chunk" and source(node) in routes:
            routes[node] = routes[source(node)]
        elif node.target is operator.getitem and source(node) in routes:
            whole = routes[source(node)]
            size = len(whole) // cast(int, source(node).args[1])
            start = cast(int, node.args[1]) * size
            routes[node] = whole[start : start + size]
    return routes


def _shares(
    readers: list[fx.Node], routes: dict[fx.Node, list[Channel]]
) -> dict[fx.Node, dict[fx.Node, _Slice]]:
    """Leaf -> reader -> the slice it reads. Raises `GateFailed` where two read one channel."""
    found: dict[fx.Node, dict[fx.Node, list[int]]] = {}
    for reader in readers:
        for leaf, channel in routes[reader]:
            found.setdefault(leaf, {}).setdefault(reader, []).append(channel)
    shares: dict[fx.Node, dict[fx.Node, _Slice]] = {}
    for leaf, parts in found.items():
        start, shares[leaf] = 0, {}
        for reader, channels in parts.items():
            stop = start + len(channels)
            shares[leaf][reader] = _Slice(leaf, start, stop, sorted(channels))
            start = stop
        if start != len({c for channels in parts.values() for c in channels}):
            raise GateFailed(f"layer {leaf.name}: its channels are read more than once")
    return shares


def _permute_rows(module: fx.GraphModule, leaf: fx.Node, order: list[int]) -> None:
    """Let a leaf's channel j be what its channel order[j] was."""
    node = leaf
    while isinstance(_layer(module, node), _ACTIVATIONS):
        node = source(node)
    conv = _layer(module, node)
    if not isinstance(conv, nn.Conv2d) or conv.groups != 1 or conv.bias is None:
        raise GateFailed(f"layer {leaf.name} is no plain convolution, its rows cannot be moved")
    conv.weight.data, conv.bias.data = conv.weight.data[order], conv.bias.data[order]


def _read(
    module: fx.GraphModule,
    reader: fx.Node,
    slices: list[_Slice],
    route: list[Channel],
    shapes: dict[fx.Node, torch.Size],
) -> None:
    """Make one tensor of the slices, and give it to the users of `reader`."""
    place = {channel: i for i, channel in enumerate(route)}
    order = [place[part.leaf, c] for part in slices for c in part.originals]
    with module.graph.inserting_before(reader):
        parts = [
            part.leaf
            if part.stop - part.start == shapes[part.leaf][1]
            else module.graph.call_function(
                torch.narrow, (part.leaf, 1, part.start, part.stop - part.start)
            )
            for part in slices
        ]
        joined = parts[0] if len(parts) == 1 else module.graph.call_function(torch.cat, (parts, 1))
    for user in [u for u in reader.users if u.target not in ("chunk", torch.cat)]:
        user.replace_input_with(reader, joined)
        _permute_inputs(module, user, order)


def _permute_inputs(module: fx.GraphModule, node: fx.Node, order: list[int]) -> None:
    """Let a layer read the channels in another order, and those behind it, up to the first that
    mixes them."""
    layer = _layer(module, node)
    if isinstance(layer, nn.Conv2d) and layer.groups == 1:
        layer.weight.data = layer.weight.data[:, order]
        return
    if isinstance(layer, nn.Conv2d) and layer.bias is not None:
        layer.weight.data, layer.bias.data = layer.weight.data[order], layer.bias.data[order]
    elif not isinstance(layer, _ACTIVATIONS):
        raise GateFailed(f"layer {node.name} behind a shuffle is no convolution")
    for user in node.users:
        _permute_inputs(module, user, order)


def _layer(module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return module.get_submodule(str(node.target)) if node.op == "call_module" else None
