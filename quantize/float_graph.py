"""A TFLite file as a float graph that PyTorch can run, with the weights to change in it.

Tensors keep the numbers they have in the file. Activations are NCHW here, NHWC in the file;
weights are (out, in, height, width), depthwise ones (channels, 1, height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from quantize.rewrites import shuffle
from quantize.rewrites.slices import slice_begin
from quantize.scheme import INT8, Scheme
from runtime.errors import GateFailed
from runtime.operators import OperatorFacts, facts_of
from runtime.tflite_graph import Graph, Operator, unpack

_NCHW = (0, 3, 1, 2)  # Place in the file of each axis here.
_FUSED = {0: "none", 1: "relu", 3: "relu6"}


@dataclass(frozen=True)
class FloatOperator:
    """One operator. inputs, outputs: activations alone. layer: which convolution it is, from 0.

    fused: activation done by the operator itself. indices: of GATHER, along the channels.
    axis: of CONCATENATION. window: what a slice takes of each axis. pads: (left, right, top,
    bottom) of PAD.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any
    fused: str
    layer: int | None = None
    indices: torch.Tensor | None = None
    axis: int = 1
    window: tuple[slice, ...] = ()
    pads: tuple[int, ...] = ()

    @property
    def facts(self) -> OperatorFacts:
        """What is known of operators of its kind."""
        return facts_of(self.kind)


@dataclass
class FloatGraph:
    """Operators in order, and the convolutions' float weights and biases.

    file: what it was read from. outputs: tensor by name. scheme: what it is to be quantized to.
    """

    file: Graph
    operators: list[FloatOperator]
    weights: list[torch.Tensor]
    biases: list[torch.Tensor]
    input: int
    outputs: dict[str, int]
    scheme: Scheme = INT8

    @classmethod
    def parse(cls, content: bytes, scheme: Scheme = INT8) -> FloatGraph:
        """Read a file; an int8 one becomes the float network it stands for.

        Raises `GateFailed` for an operator that no NanoDet needs, or without names of the outputs.
        """
        model = unpack(content)
        shuffle.restore_gathers(model)
        file = Graph.of(model)
        if not file.signature:
            raise GateFailed("the file has no signature that names its outputs")
        result = cls(file, [], [], [], file.inputs[0].index, file.signature, scheme)
        for op in file.operators:
            result._append(op)
        return result

    def _append(self, op: Operator) -> None:
        kind, facts = op.name, facts_of(op.name)
        fused = _FUSED.get(getattr(op.options, "fusedActivationFunction", 0))
        if not facts.int8 or fused is None:
            raise GateFailed(f"operator {kind} cannot be quantized by this kit")
        extras: dict[str, Any] = {}
        if facts.is_convolution:
            extras["layer"] = self._add_layer(op)
        elif kind == "GATHER":
            extras["indices"] = torch.tensor(op.constant(1).values.astype(np.int64))
        elif kind == "CONCATENATION":
            extras["axis"] = _NCHW.index(op.options.axis % 4)
        elif kind in ("STRIDED_SLICE", "SLICE"):
            extras["window"] = self._window(op)
        elif kind == "PAD":
            _, rows, columns, _ = op.constant(1).values
            extras["pads"] = (*columns.tolist(), *rows.tolist())
        inputs = tuple(t.index for t in op.inputs if t is not None and not t.is_constant)
        outputs = tuple(t.index for t in op.outputs)
        self.operators.append(FloatOperator(kind, inputs, outputs, op.options, fused, **extras))

    def _add_layer(self, op: Operator) -> int:
        order = _NCHW if op.name == "CONV_2D" else (3, 0, 1, 2)
        self.weights.append(torch.tensor(op.constant(1).floats.transpose(order).copy()))
        self.biases.append(torch.tensor(op.constant(2).floats.copy()))
        return len(self.weights) - 1

    def _window(self, op: Operator) -> tuple[slice, ...]:
        """What a slice takes, in the order of the axes here; of images all."""
        begin, taken = slice_begin(op), op.outputs[0].shape
        return slice(None), *(slice(begin[i], begin[i] + taken[i]) for i in _NCHW[1:])

    def shape_nhwc(self, tensor: int) -> tuple[int, ...]:
        """Shape of a tensor in the file."""
        return self.file.tensors[tensor].shape

    def name(self, tensor: int) -> str:
        """Name of a tensor in the file."""
        return self.file.tensors[tensor].name

    @cached_property
    def convolutions(self) -> list[FloatOperator]:
        """The operator of each layer."""
        return [op for op in self.operators if op.layer is not None]

    @cached_property
    def activations(self) -> list[int]:
        """The input and all that operators give, in order."""
        return [self.input, *(t for op in self.operators for t in op.outputs)]

    @cached_property
    def scale_group(self) -> dict[int, int]:
        """Tensor -> the tensor that stands for all that have one scale with it."""
        parent: dict[int, int] = {}

        def find(tensor: int) -> int:
            while tensor in parent:
                tensor = parent[tensor]
            return tensor

        for op in self.operators:
            if op.facts.scales == "one":
                for tensor in (*op.inputs, *op.outputs[1:]):
                    if find(tensor) != find(op.outputs[0]):
                        parent[find(tensor)] = find(op.outputs[0])
        return {tensor: find(tensor) for tensor in self.activations}

    @cached_property
    def ranges(self) -> dict[int, tuple[float, float]]:
        """(low, high) of each group of tensors, of a graph that was read from an int8 file."""
        found = {}
        for tensor, group in self.scale_group.items():
            quantized = self.file.tensors[tensor]
            scale, zero_point = quantized.scales[0], quantized.zero_points[0]
            found[group] = ((-128 - zero_point) * scale, (127 - zero_point) * scale)
        return found

    @cached_property
    def rounded(self) -> list[int]:
        """Tensors whose values int8 arithmetic rounds, in order."""
        return [op.outputs[0] for op in self.operators if op.facts.rounds]

    @property
    def pooled(self) -> list[int]:
        """What max-pools give."""
        return [op.outputs[0] for op in self.operators if op.kind == "MAX_POOL_2D"]

    @cached_property
    def pooled_only(self) -> frozenset[int]:
        """Tensors that only max-pools read: what a pool drops need not fit the range."""
        readers: dict[int, set[str]] = {}
        for op in self.operators:
            for tensor in op.inputs:
                readers.setdefault(tensor, set()).add(op.kind)
        return frozenset(
            t
            for t, kinds in readers.items()
            if kinds == {"MAX_POOL_2D"} and t not in self.outputs.values()
        )
