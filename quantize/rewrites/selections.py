"""Channel shuffles as convolutions, bit for bit the same result and no copy.

Where multiplying is cheap and moving is not, as on the NN cores of VeriSilicon's NPUs, GATHER and
SPLIT cost more than the weights that choose channels: a convolution that reads some channels of a
tensor reads all of it, those that it does not want with weight 0. For other readers a convolution
of 1x1 with a single weight for each output copies them, 127 times a scale of 1/127.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from runtime.tflite_graph import Graph, Operator, Tensor

_MOVERS = ("GATHER", "SPLIT")
_ONE = 127  # As a weight of scale 1/127.


def select_by_convolutions(model: Any) -> int:
    """Rewrite the GATHERs of channels of an int8 `ModelT`, and the SPLITs behind them, in place;
    returns how many GATHERs there were."""
    graph = Graph.of(model)
    found = graph.counts["GATHER"]
    if not found or graph.inputs[0].dtype != "INT8":
        return 0
    selector = _Selector(graph)
    operators = [packed for op in graph.operators for packed in selector.replaced(op)]
    model.subgraphs[0].operators = operators
    flatbuffer.drop_unused(model)
    return found


class _Selector:
    """routes: of each tensor that only moves channels, the tensor that has them, and which."""

    def __init__(self, graph: Graph) -> None:
        self._model = graph.model
        self._routes: dict[int, tuple[Tensor, np.ndarray]] = {}
        for op in graph.operators:
            if op.name in _MOVERS:
                self._follow(op)
        others = [op for op in graph.operators if op.name not in _MOVERS]
        self._copied = {t.index for op in others for t in self._moved(op) if op.name != "CONV_2D"}
        self._copied |= {tensor.index for tensor in graph.outputs}

    def _follow(self, op: Operator) -> None:
        moved = op.inputs[int(op.name == "SPLIT")]
        assert moved is not None
        whole = np.arange(moved.shape[-1])
        source, order = self._routes.get(moved.index, (moved, whole))
        if op.name == "GATHER":
            parts = [order[op.constant(1).values]]
        else:
            parts = np.split(order, len(op.outputs))
        for tensor, part in zip(op.outputs, parts, strict=True):
            self._routes[tensor.index] = source, part

    def _moved(self, op: Operator) -> Iterator[Tensor]:
        return (t for t in op.inputs if t is not None and t.index in self._routes)

    def replaced(self, op: Operator) -> list[Any]:
        """What stands in the place of an operator."""
        if op.name in _MOVERS:
            return [self._copy(tensor) for tensor in op.outputs if tensor.index in self._copied]
        if op.name == "CONV_2D" and any(self._moved(op)):
            self._read_whole(op)
        return [op.packed]

    def _read_whole(self, op: Operator) -> None:
        read, weight = op.inputs[0], op.constant(1)
        assert read is not None
        source, part = self._routes[read.index]
        wide = np.zeros((*weight.shape[:3], source.shape[-1]), np.int8)
        wide[..., part] = weight.values
        quantization = self._model.subgraphs[0].tensors[weight.index].quantization
        tensor = flatbuffer.add_tensor(self._model, weight.name, wide, weight.dtype, quantization)
        op.packed.inputs = [source.index, tensor, *op.packed.inputs[2:]]

    def _copy(self, target: Tensor) -> Any:
        source, part = self._routes[target.index]
        weights = np.zeros((len(part), 1, 1, source.shape[-1]), np.int8)
        weights[np.arange(len(part)), 0, 0, part] = _ONE
        step = np.float32(1 / _ONE)
        weight = self._constant(f"{target.name}/weight", weights, "INT8", step)
        bias = np.zeros(len(part), np.int32)
        scale = np.float32(source.scales[0]) * step
        inputs = [source.index, weight, self._constant(f"{target.name}/bias", bias, "INT32", scale)]
        window = {"strideH": 1, "strideW": 1, "padding": schema.Padding.VALID}
        return flatbuffer.operator(self._model, "CONV_2D", inputs, [target.index], **window)

    def _constant(self, name: str, values: np.ndarray, dtype: str, scale: np.float32) -> int:
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = np.array([scale]), np.zeros(1, np.int64)
        return flatbuffer.add_tensor(self._model, name, values, dtype, quantization)
