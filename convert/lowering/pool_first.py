"""Max-pool before the activation instead of after it: a quarter of the elements to activate.

Exact because LeakyReLU is increasing, so it commutes with the maximum. ReLU and ReLU6 stay where
they are: converters fuse them into the convolution, where they cost nothing.
"""

from __future__ import annotations

from torch import nn

from convert.lowering.base import Lowered, editable, finish, layers, source


def apply(model: Lowered) -> Lowered:
    """activation, max-pool -> max-pool, activation."""
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
