"""What the graph returns: the strides and classes that are asked for, class logits and distance
logits as tensors of their own, so that each keeps its own scale.

No sigmoid, no concatenation over strides: the score threshold becomes a comparison with a logit.
"""

from __future__ import annotations

from torch import nn

from convert.lowering.base import Lowered, editable, finish, layers, output_nodes, replace_layer


def select_strides(model: Lowered) -> Lowered:
    """One output for each stride of `spec.graph`, out of one for each stride of the network."""
    module = editable(model)
    output, nodes = output_nodes(module)
    levels = dict(zip(model.spec.architecture.strides, nodes, strict=True))
    output.args = (tuple(levels[stride] for stride in model.spec.graph.strides),)
    return finish(module, model)


def select_classes(model: Lowered) -> Lowered:
    """Last convolutions: class rows of `spec.graph.class_ids`, then all distance rows."""
    ids = model.spec.graph.class_ids
    if not ids:
        return model
    module = editable(model)
    convolutions = dict(layers(module, nn.Conv2d))
    known = len(model.spec.class_names)
    for node in output_nodes(module)[1]:
        conv = convolutions[node]
        replace_layer(module, node, _rows_of(conv, [*ids, *range(known, conv.out_channels)]))
    return finish(module, model)


def split_logits(model: Lowered) -> Lowered:
    """(cls + reg) per stride -> cls, reg per stride."""
    module = editable(model)
    convolutions = dict(layers(module, nn.Conv2d))
    output, levels = output_nodes(module)
    parts = []
    for stride, node in zip(model.spec.graph.strides, levels, strict=True):
        last, classes = convolutions[node], len(model.spec.classes)
        rows = {"cls": range(classes), "reg": range(classes, last.out_channels)}
        with module.graph.inserting_before(output):
            for kind, selected in rows.items():
                module.add_submodule(f"{kind}_{stride}", _rows_of(last, list(selected)))
                parts.append(module.graph.call_module(f"{kind}_{stride}", node.args))
    output.args = (tuple(parts),)
    return finish(module, model)


def _rows_of(conv: nn.Conv2d, rows: list[int]) -> nn.Conv2d:
    """The 1x1 convolution that computes the output channels `rows` of `conv`."""
    assert conv.bias is not None
    weight, bias = conv.weight.data[rows], conv.bias.data[rows]
    part = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    part.weight, part.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return part.requires_grad_(False)
