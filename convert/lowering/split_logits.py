"""Class logits and distance logits as tensors of their own, so that each keeps its own scale.

The last 1x1 convolution is split by rows. No sigmoid, no concatenation over strides: the score
threshold becomes a comparison with a logit.
"""

from __future__ import annotations

from torch import nn

from convert.lowering.base import Lowered, editable, finish, layers, outputs


def apply(model: Lowered) -> Lowered:
    """(cls + reg) a stride -> cls, reg a stride."""
    module = editable(model)
    convolutions = dict(layers(module, nn.Conv2d))
    output, levels = outputs(module)
    parts = []
    for stride, node in zip(model.spec.graph.strides, levels, strict=True):
        last = convolutions[node]
        classes = len(model.spec.class_names)
        with module.graph.inserting_before(output):
            for name, rows in (("cls", slice(0, classes)), ("reg", slice(classes, None))):
                module.add_submodule(f"{name}_{stride}", _rows(last, rows))
                parts.append(module.graph.call_module(f"{name}_{stride}", (node.args[0],)))
    output.args = (tuple(parts),)
    return finish(module, model)


def _rows(conv: nn.Conv2d, rows: slice) -> nn.Conv2d:
    """The 1x1 convolution that computes `rows` of the output channels of `conv`."""
    assert conv.bias is not None
    weight, bias = conv.weight.data[rows], conv.bias.data[rows]
    part = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    part.weight, part.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return part.requires_grad_(False)
