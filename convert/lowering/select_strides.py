"""Keep only the outputs of the strides that are asked for, and what they need."""

from __future__ import annotations

from convert.lowering.base import Lowered, editable, finish, output_nodes


def apply(model: Lowered) -> Lowered:
    """One output for each stride of `spec.graph`, out of one for each stride of the network."""
    module = editable(model)
    output, nodes = output_nodes(module)
    levels = dict(zip(model.spec.architecture.strides, nodes, strict=True))
    output.args = (tuple(levels[stride] for stride in model.spec.graph.strides),)
    return finish(module, model)
