"""An int8 TFLite file of this kit as layers: slices and concatenations are gone, activations belong
to the layer before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from quantize.fixed_point import leaky_relu_table, multiply, quantize_multiplier
from runtime.errors import KitError
from runtime.tflite_graph import Graph, Operator, Tensor

Channels = tuple[tuple[int, int], ...]  # (value, channel) each.
_EVERY = np.arange(-128, 128)
_ACTIVATIONS = ("LEAKY_RELU", "RELU", "RELU6")


@dataclass(frozen=True)
class Value:
    """What a layer writes. scale and zero_point: before its activation."""

    height: int
    width: int
    channels: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Layer:
    """kind: conv (of any kernel), depthwise, add, resize, average, max, or decode, which hands rows
    of two outputs over and writes a value without channels.

    sources: the channels of each input tensor. value: what it writes, an index of `Plan.values`.
    activation: int8 (256,) by int8 + 128, or None. weight: int8 (outputs, kernel, kernel, inputs),
    or (kernel, kernel, channels) of a depthwise convolution. above, left: rows and columns of
    padding. repeats: padding repeats the border; elsewhere it is the zero point. scales,
    zero_points: of the sources.
    """

    name: str
    kind: str
    sources: tuple[Channels, ...]
    value: int
    kernel: int = 1
    stride: int = 1
    above: int = 0
    left: int = 0
    repeats: bool = False
    weight: np.ndarray | None = field(default=None, repr=False)
    bias: np.ndarray | None = field(default=None, repr=False)
    weight_scales: np.ndarray | None = field(default=None, repr=False)
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    activation: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Network:
    """values: the input is the first."""

    values: tuple[Value, ...]
    layers: tuple[Layer, ...]


def read_layers(graph: Graph, outputs: Sequence[tuple[int, int]], path: str) -> Network:
    """The layers of a file.

    outputs: tensors of class and distance logits of each stride, the finest first. Raises
    `KitError` for a file that the engine does not take, naming the operator.
    """
    return _Reader(graph, path).network(outputs)


class _Reader:
    def __init__(self, graph: Graph, path: str) -> None:
        self.graph, self.path = graph, path
        self.values: list[Value] = []
        self.layers: list[Layer] = []
        self.channels: dict[int, Channels] = {}  # By tensor.
        self.readers: dict[int, int] = {}
        for op in graph.operators:
            for tensor in op.inputs:
                if tensor is not None:
                    self.readers[tensor.index] = self.readers.get(tensor.index, 0) + 1
        self._add_value(graph.inputs[0])

    def network(self, outputs: Sequence[tuple[int, int]]) -> Network:
        for op in self.graph.operators:
            getattr(self, f"_{op.name.lower()}", self._unknown)(op)
        for level, pair in enumerate(outputs):
            sources = self.channels[pair[0]], self.channels[pair[1]]
            about = self.values[sources[0][0][0]]
            self.values.append(replace(about, channels=0))
            self.layers.append(Layer(f"level {level}", "decode", sources, len(self.values) - 1))
        return Network(tuple(self.values), tuple(self.layers))

    def _unknown(self, op: Operator) -> None:
        raise self._refuse(op, "the engine has no kernel for it")

    def _refuse(self, op: Operator, reason: str) -> KitError:
        return KitError(f"{self.path}: {op.label}: {reason}; use --engine tflm")

    def _add_value(self, tensor: Tensor) -> int:
        _, height, width, channels = tensor.shape
        value = Value(height, width, channels, tensor.scales[0], tensor.zero_points[0])
        self.values.append(value)
        number = len(self.values) - 1
        self.channels[tensor.index] = tuple((number, c) for c in range(channels))
        return number

    def _layer(self, op: Operator, kind: str, inputs: int = 1, **more: Any) -> None:
        sources = [op.inputs[i] for i in range(inputs)]
        if any(tensor is None or tensor.is_constant for tensor in sources):
            raise self._refuse(op, "an input is a constant")
        tensors: list[Tensor] = [tensor for tensor in sources if tensor is not None]
        fused = getattr(op.options, "fusedActivationFunction", 0)
        if fused:
            raise self._refuse(op, "its activation is fused")
        self.layers.append(
            Layer(
                op.label,
                kind,
                tuple(self.channels[tensor.index] for tensor in tensors),
                self._add_value(op.outputs[0]),
                scales=tuple(tensor.scales[0] for tensor in tensors),
                zero_points=tuple(tensor.zero_points[0] for tensor in tensors),
                **more,
            )
        )

    def _window(self, op: Operator, kernel: int) -> dict[str, int]:
        """Kernel, stride and padding, the same in both directions."""
        source, target, options = op.inputs[0], op.outputs[0], op.options
        assert source is not None
        stride = options.strideH
        if stride != options.strideW or stride not in (1, 2, 4):
            raise self._refuse(op, "its strides are not those of NanoDet")
        above, left = (
            max((target.shape[i] - 1) * stride + kernel - source.shape[i], 0) // 2
            if options.padding == 0
            else 0
            for i in (1, 2)
        )
        return {"kernel": kernel, "stride": stride, "above": above, "left": left}

    def _conv_2d(self, op: Operator) -> None:
        weight, bias = op.constant(1), op.constant(2)
        self._layer(
            op, "conv", weight=weight.values, bias=bias.values,
            weight_scales=np.array(weight.scales), **self._window(op, weight.shape[1]),
        )  # fmt: skip

    def _depthwise_conv_2d(self, op: Operator) -> None:
        weight, bias = op.constant(1), op.constant(2)
        self._layer(
            op, "depthwise", weight=weight.values[0], bias=bias.values,
            weight_scales=np.array(weight.scales), **self._window(op, weight.shape[1]),
        )  # fmt: skip

    def _max_pool_2d(self, op: Operator) -> None:
        self._layer(op, "max", **self._window(op, op.options.filterHeight))

    def _average_pool_2d(self, op: Operator) -> None:
        self._layer(op, "average", **self._window(op, op.options.filterHeight))

    def _add(self, op: Operator) -> None:
        self._layer(op, "add", inputs=2)

    def _resize_bilinear(self, op: Operator) -> None:
        self._layer(op, "resize")

    def _slice(self, op: Operator) -> None:
        source, begin = op.inputs[0], op.constant(1).integers
        target = op.outputs[0]
        assert source is not None
        if any(begin[:3]) or source.shape[:3] != target.shape[:3]:
            raise self._refuse(op, "it cuts rows or columns")
        whole = self.channels[source.index]
        self.channels[target.index] = whole[begin[3] : begin[3] + target.shape[3]]

    def _concatenation(self, op: Operator) -> None:
        if op.options.axis not in (3, -1):
            raise self._refuse(op, "it joins rows or columns")
        target = op.outputs[0]
        found: list[tuple[int, int]] = []
        for tensor in op.inputs:
            assert tensor is not None
            if (tensor.scales, tensor.zero_points) != (target.scales, target.zero_points):
                raise self._refuse(op, "its inputs differ in scale")
            found += self.channels[tensor.index]
        self.channels[target.index] = tuple(found)

    def _activate(self, op: Operator, table: np.ndarray) -> None:
        source = op.inputs[0]
        assert source is not None
        channels = self.channels[source.index]
        number = channels[0][0]
        whole = tuple((number, c) for c in range(self.values[number].channels))
        (place,) = (i for i, layer in enumerate(self.layers) if layer.value == number)
        layer = self.layers[place]
        if channels != whole or self.readers[source.index] > 1 or layer.activation is not None:
            raise self._refuse(op, "what it activates is read elsewhere, too")
        self.layers[place] = replace(layer, activation=table)
        self.channels[op.outputs[0].index] = channels

    def _leaky_relu(self, op: Operator) -> None:
        source, target = op.inputs[0], op.outputs[0]
        assert source is not None
        one, other = (float(np.float32(t.scales[0])) for t in (source, target))
        rules = (
            quantize_multiplier(one / other),
            quantize_multiplier(one * op.options.alpha / other),
        )
        zeros = source.zero_points[0], target.zero_points[0]
        self._activate(op, leaky_relu_table((*zeros, *rules[0], *rules[1])))

    def _relu(self, op: Operator) -> None:
        source, target = op.inputs[0], op.outputs[0]
        assert source is not None
        zero = target.zero_points[0]
        rule = quantize_multiplier(float(np.float32(source.scales[0])) / target.scales[0])
        values = multiply(_EVERY - source.zero_points[0], *rule) + zero
        self._activate(op, np.clip(values, max(zero, -128), 127).astype(np.int8))

    def _relu6(self, op: Operator) -> None:
        """TensorFlow Lite Micro clamps and does not look at scales."""
        source = op.inputs[0]
        assert source is not None
        scale, zero = source.scales[0], source.zero_points[0]
        most = min(127, zero + round(6 / scale))
        self._activate(op, np.clip(_EVERY, zero, most).astype(np.int8))


def rows_read(layer: Layer, y: int, height: int) -> Sequence[int]:
    """Rows of its sources, which have so many, that row `y` of a layer's output depends on."""
    if layer.kind == "resize":
        near, far = y // 2, y // 2 + (1 if y % 2 else -1)
        return sorted({near, min(max(far, 0), height - 1)})
    first = y * layer.stride - layer.above
    rows = range(first, first + layer.kernel)
    if layer.repeats:
        return sorted({min(max(row, 0), height - 1) for row in rows})
    return [row for row in rows if 0 <= row < height]
