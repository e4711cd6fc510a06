"""Keep only the outputs of the strides that are asked for, and what they need."""

from __future__ import annotations

from convert.lowering.base import Lowered, editable, finish


def apply(model: Lowered) -> Lowered:
    """One output for each stride of `spec.graph`, out of one for each stride of the network."""
    module = editable(model)
    output = module.graph.output_node()
    levels = dict(zip(model.spec.architecture.strides, output.args[0], strict=True))
    output.args = (tuple(levels[stride] for stride in model.spec.graph.strides),)
    return finish(module, model)
