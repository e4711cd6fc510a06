"""Fold each batch norm into the convolution before it (Jacob et al., arXiv:1712.05877, 3.2), and
RepVGG's branches into one convolution."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from convert.lowering.base import Lowered, editable, finish, layers, replace_layer, source
from convert.network.repvgg import Branches


def apply(model: Lowered) -> Lowered:
    """conv, batch norm -> conv with bias; branches -> conv with bias, activation."""
    module = editable(model)
    for node, block in layers(module, Branches):
        replace_layer(module, node, block.folded())
        module.add_submodule(f"{node.name}_act", block.act)
        with module.graph.inserting_after(node):
            act = module.graph.call_module(f"{node.name}_act", (node,))
        node.replace_all_uses_with(act)
        act.args = (node,)
    convolutions = dict(layers(module, nn.Conv2d))
    for node, norm in layers(module, nn.BatchNorm2d):
        before = source(node)
        assert before in convolutions and len(before.users) == 1, f"{node}: no convolution before"
        replace_layer(module, before, fuse_conv_bn_eval(convolutions[before], norm))
        node.replace_all_uses_with(before)
        module.graph.erase_node(node)
    return finish(module, model)
