"""Channel shuffle -> selection of channels by a constant list.

The five-dimensional reshape-transpose-reshape confuses the converters behind (transposes strewn
over the graph, depthwise convolutions turned full). One Gather on the channel axis does not;
`quantize.shuffle` turns it into a rank-3 transpose in the finished file.
"""

from __future__ import annotations

import torch

from convert.lowering.base import Lowered, editable, finish, record_input_sizes
from convert.network.shufflenetv2 import channel_shuffle, shuffle_indices


def apply(model: Lowered) -> Lowered:
    """channel_shuffle(x, groups) -> index_select(x, 1, constant)."""
    module = editable(model)
    sizes = record_input_sizes(module, model.example_input())
    for node in list(module.graph.nodes):
        if node.target is not channel_shuffle:
            continue
        x, groups = node.args
        channels = sizes[node][1]
        name = f"shuffle_{channels}_{groups}"
        if not hasattr(module, name):
            module.register_buffer(name, shuffle_indices(channels, groups))
        with module.graph.inserting_before(node):
            indices = module.graph.get_attr(name)
            selected = module.graph.call_function(torch.index_select, (x, 1, indices))
        node.replace_all_uses_with(selected)
    return finish(module, model)
