"""Bilinear resize to half the size -> 2x2 average pool, which it equals on even sizes."""

from __future__ import annotations

import torch.nn.functional as F

from convert.lowering.base import Lowered, editable, finish, record_input_sizes


def apply(model: Lowered) -> Lowered:
    """interpolate(scale_factor=0.5) -> avg_pool2d(2), where height and width are even."""
    module = editable(model)
    sizes = record_input_sizes(module, model.example_input())
    for node in list(module.graph.nodes):
        halves = node.target is F.interpolate and node.kwargs.get("scale_factor") == 0.5
        if halves and all(n % 2 == 0 for n in sizes[node][2:]):
            with module.graph.inserting_before(node):
                pooled = module.graph.call_function(F.avg_pool2d, (node.args[0], 2))
            node.replace_all_uses_with(pooled)
    return finish(module, model)
