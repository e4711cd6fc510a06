"""Keep only the classes that are asked for: rows of the last convolution, exactly."""

from __future__ import annotations

from torch import nn

from convert.lowering.base import Lowered, editable, finish, layers, output_nodes, replace_layer
from convert.lowering.split_logits import rows_of


def apply(model: Lowered) -> Lowered:
    """Last convolutions: class rows of `spec.graph.class_ids`, then all distance rows."""
    ids = model.spec.graph.class_ids
    if not ids:
        return model
    module = editable(model)
    convolutions = dict(layers(module, nn.Conv2d))
    known = len(model.spec.class_names)
    for node in output_nodes(module)[1]:
        conv = convolutions[node]
        replace_layer(module, node, rows_of(conv, [*ids, *range(known, conv.out_channels)]))
    return finish(module, model)
