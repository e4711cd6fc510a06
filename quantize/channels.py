"""Channels followed through a graph: who makes each, who reads it, which must scale together."""

from __future__ import annotations

import numpy as np
import torch

from quantize.float_graph import FloatGraph, FloatOperator


class Channels:
    """Where each channel lies, as numbers of the groups that must be scaled together.

    of: tensor -> group of each of its channels; `count` stands for "may not be scaled", which
    holds for the input, the outputs, and what a ReLU6 touches.
    """

    def __init__(self, graph: FloatGraph) -> None:
        self._parent: list[int] = [0]  # Channel 0: everything that may not be scaled.
        channels = graph.shape_nhwc(graph.input)[3]
        raw: dict[int, np.ndarray] = {graph.input: np.zeros(channels, np.int64)}
        for op in graph.operators:
            inputs = [raw[t] for t in op.inputs]
            if op.kind == "SPLIT":
                raw.update(zip(op.outputs, np.split(inputs[0], len(op.outputs)), strict=True))
            else:
                raw[op.outputs[0]] = self._follow(graph, op, inputs)
        for tensor in graph.outputs.values():
            self._join(raw[tensor], np.zeros_like(raw[tensor]))
        roots = {t: np.array([self._root(c) for c in inside]) for t, inside in raw.items()}
        free = sorted({int(c) for inside in roots.values() for c in inside} - {self._root(0)})
        number = {root: i for i, root in enumerate(free)}
        self.count = len(free)
        self.of: dict[int, torch.Tensor] = {
            t: torch.tensor([number.get(int(c), self.count) for c in inside])
            for t, inside in roots.items()
        }

    def _follow(self, graph: FloatGraph, op: FloatOperator, inputs: list[np.ndarray]) -> np.ndarray:
        if op.layer is not None:
            first, size = len(self._parent), len(graph.biases[op.layer])
            self._parent += range(first, first + size)
            made = np.arange(first, first + size)
        elif op.kind == "CONCATENATION" and op.axis == 1:
            made = np.concatenate(inputs)
        elif op.kind == "CONCATENATION":
            for other in inputs[1:]:
                self._join(inputs[0], other)
            made = inputs[0]
        elif op.window:
            made = inputs[0][op.window[1]]
        elif op.kind == "GATHER":
            assert op.indices is not None
            made = inputs[0][op.indices.numpy()]
        elif op.kind == "ADD":
            self._join(*inputs)
            made = inputs[0]
        elif op.kind == "MUL" and len({graph.shape_nhwc(t) for t in op.inputs}) > 1:
            rows = [graph.shape_nhwc(t)[1] for t in op.inputs]
            made, gate = inputs if rows[0] > rows[1] else inputs[::-1]
            self._join(gate, np.zeros_like(gate))
        else:
            for other in inputs[1:]:
                self._join(other, np.zeros_like(other))
            made = inputs[0]
            if not op.facts.homogeneous:
                self._join(made, np.zeros_like(made))
        if op.fused == "relu6":
            self._join(made, np.zeros_like(made))
        return made

    def _join(self, a: np.ndarray, b: np.ndarray) -> None:
        for one, other in zip(a.tolist(), b.tolist(), strict=True):
            low, high = sorted((self._root(one), self._root(other)))
            self._parent[high] = low

    def _root(self, channel: int) -> int:
        while (parent := self._parent[channel]) != channel:
            self._parent[channel] = self._parent[parent]
            channel = parent
        return channel

    def gain(self, op: FloatOperator, factor: torch.Tensor) -> torch.Tensor:
        """What scaling the groups by `factor` multiplies a convolution's weights by: (out, in).

        factor: of each group, and 1 at the end. A depthwise convolution has one input per channel.
        """
        made, read = factor[self.of[op.outputs[0]]], factor[self.of[op.inputs[0]]]
        if op.kind == "DEPTHWISE_CONV_2D":
            return (made / read)[:, None]
        return made[:, None] / read[None]

    def scale(self, graph: FloatGraph, factor: torch.Tensor) -> None:
        """Scale the groups by `factor` in the graph's weights, which leaves its function alone."""
        padded = torch.cat([factor, factor.new_ones(1)])
        for op in graph.convolutions:
            assert op.layer is not None
            gain = self.gain(op, padded)[..., None, None]
            graph.weights[op.layer] = graph.weights[op.layer] * gain
            graph.biases[op.layer] = graph.biases[op.layer] * padded[self.of[op.outputs[0]]]
