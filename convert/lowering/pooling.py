"""Max-pools where they cost least, and a resize as a mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from convert.lowering.base import Lowered, editable, finish, layers, record_input_sizes, source
from runtime.errors import GateFailed


def pool_first(model: Lowered) -> Lowered:
    """Activation, max-pool -> max-pool, activation: a quarter of the elements to activate.

    Exact because LeakyReLU is increasing, so it commutes with the maximum. ReLU and ReLU6 stay
    where they are: converters fuse them into the convolution, where they cost nothing.
    """
    module = editable(model)
    activations = {node for node, _ in layers(module, nn.LeakyReLU)}
    for pool, _ in layers(module, nn.MaxPool2d):
        before = source(pool)
        if before in activations and len(before.users) == 1:
            pool.replace_all_uses_with(before)
            pool.args = before.args
            before.args = (pool,)
            pool.append(before)
    return finish(module, model)


def halve_by_mean(model: Lowered) -> Lowered:
    """Bilinear resize to half the size -> 2x2 average pool, which it equals on even sizes."""
    module = editable(model)
    sizes = record_input_sizes(module, model.example_input())
    for node in list(module.graph.nodes):
        halves = node.target is F.interpolate and node.kwargs.get("scale_factor") == 0.5
        if halves and all(n % 2 == 0 for n in sizes[node][2:]):
            with module.graph.inserting_before(node):
                pooled = module.graph.call_function(F.avg_pool2d, (node.args[0], 2))
            node.replace_all_uses_with(pooled)
    return finish(module, model)


def copied_border(model: Lowered) -> Lowered:
    """max_pool(padding=1) -> max_pool of the tensor with its first row and column twice, for graphs
    that are not rotated.

    PyTorch pads a pool's top and left with -inf. A converter makes that a pad with the lowest
    float, which ruins an int8 range. The windows at the border hold the first row and column
    anyway, so a copy of them changes no maximum.
    """
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
