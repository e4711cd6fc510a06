"""Fold the normalisation into the first convolution, so that the int8 input is `pixel - 128`.

The graph takes (pixel - raw_offset) / raw_scale: one scale and one whole offset for all channels.
"""

from __future__ import annotations

from convert.lowering.base import Lowered, editable, finish, layers, replace_layer
from convert.lowering.grey_border import BorderPaddedConv2d


def apply(model: Lowered) -> Lowered:
    """First convolution on normalised pixels -> on (pixel - raw_offset) / raw_scale."""
    module = editable(model)
    ((node, padded),) = layers(module, BorderPaddedConv2d)
    conv, pixels = padded.conv, model.spec.input
    mean, std = conv.weight.new_tensor(pixels.mean), conv.weight.new_tensor(pixels.std)
    weight = conv.weight.data
    shift = (weight.sum((2, 3)) * ((pixels.raw_offset - mean) / std)).sum(1)
    conv.weight.data = weight * (pixels.raw_scale / std).view(1, 3, 1, 1)
    conv.bias.data = conv.bias.data + shift
    replace_layer(module, node, conv)
    return finish(module, model).with_graph(raw_pixels=True)
