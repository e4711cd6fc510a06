"""A convolution for each slice, bit for bit the same result and no copy.

`shuffle_by_slices` lets each reader take a slice of the channels of a layer. What a convolution
gives can be written into a concatenation's place at once, and a slice of it is a copy for an
Ethos-U. Output channels do not know of each other, so each slice gets a convolution of its own.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from quantize import flatbuffer
from quantize.rewrites.slices import slice_begin
from runtime.tflite_graph import Graph, Operator, Tensor


def convolve_by_slice(model: Any) -> int:
    """Rewrite the CONV_2Ds of an int8 `ModelT`, alone or with a LEAKY_RELU, of which nothing but
    slices of channels are read, in place; returns how many there were."""
    separator = _Separator(Graph.of(model))
    operators = [packed for op in separator.graph.operators for packed in separator.replaced(op)]
    model.subgraphs[0].operators = operators
    flatbuffer.drop_unused(model)
    return len(separator.chains)


class _Separator:
    """chains: by position of a convolution, the activation that follows it, if any, and the slices
    that are read."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._readers: dict[int, list[Operator]] = {}
        for op in graph.operators:
            for index in {tensor.index for tensor in op.inputs if tensor is not None}:
                self._readers.setdefault(index, []).append(op)
        found = {conv.position: self._chain(conv) for conv in graph.named("CONV_2D")}
        self.chains = {position: chain for position, chain in found.items() if chain[1]}
        self._gone = {
            op.position for chain in self.chains.values() for part in chain for op in part
        }

    def _chain(self, conv: Operator) -> tuple[list[Operator], list[Operator]]:
        leaf, activation = conv.outputs[0], []
        readers = self._reading(leaf)
        if [op.name for op in readers] == ["LEAKY_RELU"]:
            activation, leaf = readers, readers[0].outputs[0]
            readers = self._reading(leaf)
        return activation, readers if all(map(_takes_channels, readers)) else []

    def _reading(self, tensor: Tensor) -> list[Operator]:
        """Its readers; none of one that leaves the graph, too."""
        return [] if tensor in self.graph.outputs else self._readers.get(tensor.index, [])

    def replaced(self, op: Operator) -> list[Any]:
        """What stands in the place of an operator."""
        if op.position in self.chains:
            activation, slices = self.chains[op.position]
            links = [op, *activation]
            return [packed for taken in slices for packed in self._convolve(links, taken)]
        return [] if op.position in self._gone else [op.packed]

    def _convolve(self, links: list[Operator], taken: Operator) -> list[Any]:
        """The channels of one slice."""
        conv, target, begin = links[0], taken.outputs[0], slice_begin(taken)[-1]
        rows = slice(begin, begin + target.shape[-1])
        inputs = [conv.packed.inputs[0]]
        inputs += [self._rows(conv.constant(i), rows, target.name) for i in (1, 2)]
        made = []
        for op in links:
            packed, label = copy.copy(op.packed), f"{target.name}/{op.name}"
            output = target.index if op is links[-1] else flatbuffer.add_activation(
                self.graph.model, label, target.shape, op.outputs[0].index
            )  # fmt: skip
            packed.inputs, packed.outputs = inputs, [output]
            made.append(packed)
            inputs = [output]
        return made

    def _rows(self, constant: Tensor, rows: slice, name: str) -> int:
        """Number of a constant of those output channels."""
        tensor = self.graph.model.subgraphs[0].tensors[constant.index]
        quantization = copy.copy(tensor.quantization)
        if len(quantization.scale) > 1:
            quantization.scale = np.asarray(quantization.scale)[rows]
            quantization.zeroPoint = np.asarray(quantization.zeroPoint)[rows]
        values = np.ascontiguousarray(constant.values[rows])
        label = f"{constant.name}/{name}"
        return flatbuffer.add_tensor(self.graph.model, label, values, constant.dtype, quantization)


def _takes_channels(op: Operator) -> bool:
    """Is it a slice that leaves the other axes whole?"""
    source = op.inputs[0]
    return op.name == "SLICE" and source is not None and (
        op.outputs[0].shape[:-1] == source.shape[:-1]
    )  # fmt: skip
