"""The value that a lowering passes on, and helpers on `torch.fx` graphs.

A lowered model is a traced graph plus the `GraphSpec` that says what it reads and returns. Each
rewrite takes one and gives one that computes the same function of the photograph.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import fx, nn

from convert.engines import input_tensor
from runtime.preprocess import upright
from runtime.spec import ModelSpec


@dataclass(frozen=True)
class Lowered:
    """A traced network and the spec of what it reads and returns.

    module: NCHW in, float64 while it is rewritten, float32 when finished; out a tuple, one tensor
    for each of `spec.output_names`, or, until `split_logits` has run, one for each stride.
    """

    module: fx.GraphModule
    spec: ModelSpec

    def with_graph(self, **changes: object) -> Lowered:
        """The same module, with fields of `spec.graph` replaced."""
        graph = dataclasses.replace(self.spec.graph, **changes)  # type: ignore[arg-type]
        return Lowered(self.module, dataclasses.replace(self.spec, graph=graph))

    def example_input(self) -> torch.Tensor:
        """A black canvas as the graph takes it: (1, C, H, W)."""
        return self.input_tensor(np.zeros(self.spec.input.canvas_shape, np.uint8))

    def input_tensor(self, canvas: np.ndarray) -> torch.Tensor:
        """Canvas -> (1, C, H, W) as the graph takes it."""
        double = next(self.module.parameters()).dtype == torch.float64
        dtype = np.float64 if double else np.float32
        return input_tensor(canvas, self.spec, dtype).contiguous()

    def run(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas -> logits (h, w, C) by name, upright."""
        with torch.inference_mode():
            outputs = self.module(self.input_tensor(canvas))
        if len(outputs) == len(self.spec.graph.strides):
            classes = len(self.spec.classes)
            outputs = [part for o in outputs for part in (o[:, :classes], o[:, classes:])]
        return {
            name: upright(o[0].permute(1, 2, 0).numpy(), self.spec)
            for name, o in zip(self.spec.output_names, outputs, strict=True)
        }


def editable(model: Lowered) -> fx.GraphModule:
    """A deep copy of the module, so that a rewrite leaves its input alone."""
    return copy.deepcopy(model.module)


def finish(module: fx.GraphModule, model: Lowered) -> Lowered:
    """Drop what a rewrite left unused, check and recompile the graph."""
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.graph.lint()
    module.recompile()
    return Lowered(module, model.spec)


def layers(module: fx.GraphModule, kind: type[nn.Module]) -> list[tuple[fx.Node, Any]]:
    """Nodes that call a module of `kind`, with that module, in order of execution."""
    return [
        (node, layer)
        for node in module.graph.nodes
        if node.op == "call_module" and isinstance(layer := module.get_submodule(node.target), kind)
    ]


def output_nodes(module: fx.GraphModule) -> tuple[fx.Node, list[fx.Node]]:
    """The output node, and the nodes it returns, in order."""
    node = module.graph.output_node()
    return node, list(cast(tuple[fx.Node, ...], node.args[0]))


def source(node: fx.Node) -> fx.Node:
    """The node that computes the tensor `node` reads first."""
    return node.all_input_nodes[0]


def replace_layer(module: fx.GraphModule, node: fx.Node, layer: nn.Module) -> None:
    """Put `layer` where `node` calls its module."""
    parent, _, name = str(node.target).rpartition(".")
    setattr(module.get_submodule(parent), name, layer)


def record_shapes(module: fx.GraphModule, example: torch.Tensor) -> dict[fx.Node, torch.Size]:
    """Shape of every node's tensor, for an example input."""
    from torch.fx.passes.shape_prop import ShapeProp

    with torch.inference_mode():
        ShapeProp(module).propagate(example)
    found = {node: node.meta.get("tensor_meta") for node in module.graph.nodes}
    return {node: meta.shape for node, meta in found.items() if hasattr(meta, "shape")}


def record_input_sizes(module: fx.GraphModule, example: torch.Tensor) -> dict[fx.Node, torch.Size]:
    """Shape of the first argument of every node, for an example input."""
    shapes = record_shapes(module, example)
    return {
        node: shapes[source(node)]
        for node in module.graph.nodes
        if node.all_input_nodes and source(node) in shapes
    }
