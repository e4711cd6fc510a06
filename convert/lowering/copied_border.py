"""Max-pool's border as a copy of the first row and column, for graphs that are not rotated.

PyTorch pads a pool's top and left with -inf. A converter makes that a pad with the lowest float,
which ruins an int8 range. The windows at the border hold the first row and column anyway, so a copy
of them changes no maximum.
"""

from __future__ import annotations

import torch
from torch import nn

from convert.lowering.base import Lowered, editable, finish, layers, record_input_sizes, source
from runtime.errors import GateFailed


def apply(model: Lowered) -> Lowered:
    """max_pool(padding=1) -> max_pool of the tensor with its first row and column twice."""
    if model.spec.graph.rotated_180:
        return model
    module = editable(model)
    sizes = record_input_sizes(module, model.example_input())
    for node, pool in layers(module, nn.MaxPool2d):
        even = all(n % 2 == 0 for n in sizes[node][2:])
        if (pool.kernel_size, pool.stride, pool.padding) != (3, 2, 1) or not even:
            raise GateFailed(f"layer {node.name}: no 3x3 pool with stride 2 on an even size")
        x = source(node)
        with module.graph.inserting_before(node):
            for axis in (3, 2):
                first = module.graph.call_function(torch.narrow, (x, axis, 0, 1))
                x = module.graph.call_function(torch.cat, ([first, x], axis))
        node.replace_input_with(source(node), x)
        pool.padding = 0
    return finish(module, model)
