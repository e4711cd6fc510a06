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
from quantize.scheme import INT8, Scheme
from runtime import graph_file
from runtime.errors import GateFailed

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
ROUNDING = (*CONVOLUTIONS, "LEAKY_RELU", "ADD", "AVERAGE_POOL_2D", "RESIZE_BILINEAR")
# Output and inputs of these have one scale in TFLite; all but the last two only move values.
SAME_SCALE = (
    *("CONCATENATION", "GATHER", "SPLIT", "STRIDED_SLICE", "SLICE", "PAD", "MAX_POOL_2D"),
    *ROUNDING[-2:],
)
_KNOWN = frozenset((*ROUNDING, *SAME_SCALE, "RELU", "RELU6"))
_NCHW = (0, 3, 1, 2)  # Place in the file of each axis here.
_FUSED = {0: "none", 1: "relu", 3: "relu6"}


@dataclass(frozen=True)
class Operator:
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


@dataclass
class Graph:
    """Operators in order, and the convolutions' float weights and biases.

    model: the file as `ModelT`. outputs: tensor by name. scheme: what it is to be quantized to.
    """

    model: Any
    operators: list[Operator]
    weights: list[torch.Tensor]
    biases: list[torch.Tensor]
    input: int
    outputs: dict[str, int]
    scheme: Scheme = INT8

    @classmethod
    def parse(cls, content: bytes, scheme: Scheme = INT8) -> Graph:
        """Read a file; an int8 one becomes the float network it stands for.

        Raises `GateFailed` for an operator that no NanoDet needs, or without names of the outputs.
        """
        model = graph_file.parse(content)
        shuffle.restore_gathers(model)
        graph = model.subgraphs[0]
        if len(model.signatureDefs or ()) != 1:
            raise GateFailed("the file has no signature that names its outputs")
        (signature,) = model.signatureDefs
        outputs = {graph_file.text(entry.name): entry.tensorIndex for entry in signature.outputs}
        result = cls(model, [], [], [], graph.inputs[0], outputs, scheme)
        for op in graph.operators:
            result._append(op)
        return result

    def _append(self, op: Any) -> None:
        kind = graph_file.operator_name(self.model, op)
        fused = _FUSED.get(getattr(op.builtinOptions, "fusedActivationFunction", 0))
        if kind not in _KNOWN or fused is None:
            raise GateFailed(f"operator {kind} cannot be quantized by this kit")
        extras: dict[str, Any] = {}
        if kind in CONVOLUTIONS:
            extras["layer"] = self._add_layer(kind, op)
        elif kind == "GATHER":
            indices = graph_file.constant(self.model, op.inputs[1])
            extras["indices"] = torch.tensor(indices.astype(np.int64))
        elif kind == "CONCATENATION":
            extras["axis"] = _NCHW.index(op.builtinOptions.axis % 4)
        elif kind in ("STRIDED_SLICE", "SLICE"):
            extras["window"] = self._window(op)
        elif kind == "PAD":
            _, rows, columns, _ = graph_file.constant(self.model, op.inputs[1]).reshape(4, 2)
            extras["pads"] = (*columns.tolist(), *rows.tolist())
        inputs = tuple(i for i in op.inputs if not graph_file.is_constant(self.model, i))
        outputs = tuple(op.outputs)
        self.operators.append(Operator(kind, inputs, outputs, op.builtinOptions, fused, **extras))

    def _add_layer(self, kind: str, op: Any) -> int:
        values = graph_file.floats(self.model, op.inputs[1])
        order = (0, 3, 1, 2) if kind == "CONV_2D" else (3, 0, 1, 2)
        self.weights.append(torch.tensor(values.transpose(order).copy()))
        self.biases.append(torch.tensor(graph_file.floats(self.model, op.inputs[2]).copy()))
        return len(self.weights) - 1

    def _window(self, op: Any) -> tuple[slice, ...]:
        """What a slice takes, in the order of the axes here; of images all."""
        begin, taken = slice_begin(self.model, op), self.shape_nhwc(op.outputs[0])
        return slice(None), *(slice(begin[i], begin[i] + taken[i]) for i in _NCHW[1:])

    def shape_nhwc(self, tensor: int) -> tuple[int, ...]:
        """Shape of a tensor in the file."""
        return tuple(int(n) for n in self.model.subgraphs[0].tensors[tensor].shape)

    def name(self, tensor: int) -> str:
        """Name of a tensor in the file."""
        return graph_file.text(self.model.subgraphs[0].tensors[tensor].name)

    @cached_property
    def convolutions(self) -> list[Operator]:
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
            if op.kind in SAME_SCALE:
                for tensor in (*op.inputs, *op.outputs[1:]):
                    if find(tensor) != find(op.outputs[0]):
                        parent[find(tensor)] = find(op.outputs[0])
        return {tensor: find(tensor) for tensor in self.activations}

    @cached_property
    def ranges(self) -> dict[int, tuple[float, float]]:
        """(low, high) of each group of tensors, of a graph that was read from an int8 file."""
        found = {}
        for tensor, group in self.scale_group.items():
            quantization = self.model.subgraphs[0].tensors[tensor].quantization
            scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
            found[group] = ((-128 - zero_point) * scale, (127 - zero_point) * scale)
        return found

    @cached_property
    def rounded(self) -> list[int]:
        """Tensors whose values int8 arithmetic rounds, in order."""
        return [op.outputs[0] for op in self.operators if op.kind in (*ROUNDING, "RELU", "RELU6")]

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


def slice_begin(model: Any, op: Any) -> tuple[int, ...]:
    """Where a SLICE or STRIDED_SLICE begins, by axis of the file. Raises `GateFailed` for one
    with steps."""
    begin = [int(n) for n in graph_file.constant(model, op.inputs[1])]
    if graph_file.operator_name(model, op) == "SLICE":
        return tuple(begin)
    options = op.builtinOptions
    steps = graph_file.constant(model, op.inputs[3])
    if (steps != 1).any() or options.ellipsisMask or options.newAxisMask or min(begin) < 0:
        name = graph_file.text(model.subgraphs[0].tensors[op.outputs[0]].name)
        raise GateFailed(f"{name}: no plain slice")
    return tuple(0 if options.beginMask >> i & 1 else n for i, n in enumerate(begin))
