"""Squeeze-and-excitation by operators that small targets have.

A hard sigmoid is ReLU6(x + 3) / 6. The sum goes into the bias of the convolution before it, the
quotient into the weights of those that read what it gates. The mean is an average pool.
"""

from __future__ import annotations

import operator

import torch.nn.functional as F
from torch import nn
from torch.fx.node import Argument

from convert.lowering.base import (
    Lowered,
    editable,
    finish,
    layers,
    record_input_sizes,
    replace_layer,
    source,
)
from runtime.errors import GateFailed


def apply(model: Lowered) -> Lowered:
    """Hard sigmoid -> ReLU6; mean of all rows and columns -> average pool."""
    module = editable(model)
    convolutions = dict(layers(module, nn.Conv2d))
    for node, _ in layers(module, nn.Hardsigmoid):
        before, product = source(node), next(iter(node.users))
        alone = len(before.users) == len(node.users) == 1 and product.target is operator.mul
        if not alone or not convolutions.keys() >= {before, *product.users}:
            raise GateFailed(f"layer {node.name}: no gate between convolutions")
        convolutions[before].bias.data += 3
        for reader in product.users:
            convolutions[reader].weight.data /= 6
        replace_layer(module, node, nn.ReLU6())
    sizes = record_input_sizes(module, model.example_input())
    for node, _ in layers(module, nn.AdaptiveAvgPool2d):
        with module.graph.inserting_before(node):
            # There is no padding to count, but onnx2tf multiplies where it would be counted.
            rows, columns = sizes[node][2:]
            window: dict[str, Argument] = {"kernel_size": (rows, columns)}
            window["count_include_pad"] = False
            pooled = module.graph.call_function(F.avg_pool2d, node.args, window)
        node.replace_all_uses_with(pooled)
    return finish(module, model)
