"""An int8 TFLite file of this kit as layers: slices and concatenations are gone, activations belong
to the layer before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from firmware.engine import tables
from firmware.engine.layers import CONVOLUTIONS, Channels, Layer, Network, Value
from firmware.engine.strips import window_padding, without_strips
from runtime.errors import KitError
from runtime.tflite_graph import Graph, Operator, Tensor

_MOST_LAYERS = 250  # Numbers of layers and buffers are bytes.
_FUSED = {1: np.inf, 3: 6.0}  # By number of the activation: ReLU, ReLU6, and up to where they go.
_ACTIVATED = (*CONVOLUTIONS, "depthwise", "add", "max")  # By the kernel that writes the value.


@dataclass(frozen=True)
class _View:
    """A tensor as channels, rows and columns of values that have `size` rows and columns."""

    channels: Channels
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    size: tuple[int, int]

    @property
    def is_plain(self) -> bool:
        """Are all rows and columns there, each once?"""
        lines = self.rows, self.columns
        return all(line == tuple(range(n)) for line, n in zip(lines, self.size, strict=True))

    @property
    def repeated(self) -> tuple[int, int] | None:
        """How often the first row and the first column are repeated before them; None where it is
        something else than the whole with borders repeated."""
        found = []
        for line, count in zip((self.rows, self.columns), self.size, strict=True):
            before = line.count(0) - 1 if count > 1 else 0
            if line != tuple(min(max(i - before, 0), count - 1) for i in range(len(line))):
                return None
            found.append(before)
        return found[0], found[1]


def read_layers(graph: Graph, outputs: Sequence[tuple[int, int]], path: str) -> Network:
    """The layers of a file.

    outputs: tensors of class and distance logits of each stride, the finest first. Raises
    `KitError` for a file that the engine does not take, naming the operator.
    """
    return _Reader(graph, path).network(outputs)


class _Reader:
    def __init__(self, graph: Graph, path: str) -> None:
        self.path = path
        self.values: list[Value] = []
        self.layers: list[Layer] = []
        self.views: dict[int, _View] = {}  # By tensor.
        self.readers: dict[int, int] = {}
        self.operators = without_strips(graph)
        for op in self.operators:
            for tensor in op.inputs:
                if tensor is not None:
                    self.readers[tensor.index] = self.readers.get(tensor.index, 0) + 1
        self._add_value(graph.inputs[0])

    def network(self, outputs: Sequence[tuple[int, int]]) -> Network:
        for op in self.operators:
            getattr(self, f"_{op.name.lower()}", self._unknown)(op)
        for level, pair in enumerate(outputs):
            if not all(tensor in self.views for tensor in pair):
                raise KitError(
                    f"{self.path}: an output of level {level} is no tensor of the engine"
                )
            sources = self.views[pair[0]].channels, self.views[pair[1]].channels
            about = self.values[sources[0][0][0]]
            self.values.append(replace(about, channels=0))
            self.layers.append(Layer(f"level {level}", "decode", sources, len(self.values) - 1))
        if len(self.layers) > _MOST_LAYERS:
            many = f"{len(self.layers)} layers, more than {_MOST_LAYERS}"
            raise KitError(f"{self.path}: the engine does not take {many}; use --engine tflm")
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
        self.views[tensor.index] = _View(
            tuple((number, c) for c in range(channels)),
            tuple(range(height)),
            tuple(range(width)),
            (height, width),
        )
        return number

    def _view(self, op: Operator, place: int = 0) -> _View:
        tensor = op.input(place)
        if tensor is None or tensor.index not in self.views:
            raise self._refuse(op, f"its input {place} is no activation")
        return self.views[tensor.index]

    def _layer(self, op: Operator, kind: str, inputs: int = 1, **more: Any) -> None:
        views = [self._view(op, i) for i in range(inputs)]
        fused = getattr(op.options, "fusedActivationFunction", 0)
        if fused and (fused not in _FUSED or kind not in _ACTIVATED):
            raise self._refuse(op, "what is fused to it is no ReLU and no ReLU6")
        if not all(view.is_plain or more.get("repeats") for view in views):
            raise self._refuse(op, "it reads a part of the rows or columns")
        tensors = [tensor for tensor in op.inputs[:inputs] if tensor is not None]
        self.layers.append(
            Layer(
                op.label,
                kind,
                tuple(view.channels for view in views),
                self._add_value(op.outputs[0]),
                scales=tuple(tensor.scales[0] for tensor in tensors),
                zero_points=tuple(tensor.zero_points[0] for tensor in tensors),
                activation=tables.clamp(op.outputs[0], _FUSED[fused]) if fused else None,
                **more,
            )
        )

    def _window(self, op: Operator, shape: Sequence[int]) -> dict[str, Any]:
        """Kernel, stride and padding. shape: of the kernel."""
        view, target, options = self._view(op), op.outputs[0], op.options
        kernel, stride = shape[0], options.strideH
        dilations = {getattr(options, f"dilation{side}Factor", 1) for side in "HW"}
        if shape[1] != kernel or options.strideW != stride or dilations != {1}:
            raise self._refuse(op, "its window is not the same in both directions")
        above, left = (
            window_padding(op, len(line), target.shape[i]) if options.padding == 0 else 0
            for i, line in ((1, view.rows), (2, view.columns))
        )
        found = {"kernel": kernel, "stride": stride, "above": above, "left": left}
        if view.is_plain:
            return found
        if view.repeated is None or options.padding == 0 or op.name != "DEPTHWISE_CONV_2D":
            raise self._refuse(op, "it reads a part of the rows or columns")
        return found | {"above": view.repeated[0], "left": view.repeated[1], "repeats": True}

    def _conv_2d(self, op: Operator) -> None:
        weight, bias = op.constant(1), op.constant(2)
        window, channels = self._window(op, weight.shape[1:3]), self._view(op).channels
        if weight.shape[3] != len(channels):
            raise self._refuse(op, "its channels are in groups")
        of_image = channels in [tuple((0, c) for c in range(count)) for count in (1, 3)]
        kind = "stem" if of_image and self._is_halving(op, window) else "conv"
        self._layer(
            op, kind, weight=weight.values, bias=bias.values,
            weight_scales=np.array(weight.scales), **window,
        )  # fmt: skip

    def _is_halving(self, op: Operator, window: dict[str, Any]) -> bool:
        """Is it 3x3 with stride 2, and with padding behind the last row and column alone?"""
        return list(window.values()) == [3, 2, 0, 0] and not len(self._view(op).columns) % 2

    def _depthwise_conv_2d(self, op: Operator) -> None:
        weight, bias = op.constant(1), op.constant(2)
        window = self._window(op, weight.shape[1:3])
        if window["kernel"] not in (3, 4, 5) or window["stride"] > 2 or (
            op.options.depthMultiplier != 1
        ):  # fmt: skip
            raise self._refuse(op, "its kernel is not 3x3 to 5x5 with stride 1 or 2")
        self._layer(
            op, "depthwise", weight=weight.values[0], bias=bias.values,
            weight_scales=np.array(weight.scales), **window,
        )  # fmt: skip

    def _max_pool_2d(self, op: Operator) -> None:
        window = self._window(op, self._filter(op))
        if not self._is_halving(op, window):
            raise self._refuse(op, "it is not 3x3 with stride 2 on an even number of columns")
        self._layer(op, "max", **window)

    def _filter(self, op: Operator) -> tuple[int, int]:
        return op.options.filterHeight, op.options.filterWidth

    def _average_pool_2d(self, op: Operator) -> None:
        view = self._view(op)
        if self._filter(op) == view.size and op.outputs[0].shape[1:3] == (1, 1):
            self._layer(op, "mean", kernel=view.size[0])
            return
        window = self._window(op, self._filter(op))
        if not 2 <= window["kernel"] == window["stride"] <= 4 or window["above"] or window["left"]:
            raise self._refuse(op, "its squares overlap, or there is padding")
        self._layer(op, "average", **window)

    def _add(self, op: Operator) -> None:
        self._layer(op, "add", inputs=2)

    def _mul(self, op: Operator) -> None:
        inputs = op.inputs[:2]
        if inputs[0] is not None and inputs[0].shape[1:3] == (1, 1):
            op = replace(op, inputs=inputs[::-1])
        view, gate = self._view(op), self._view(op, 1)
        if gate.size != (1, 1) or len(gate.channels) != len(view.channels):
            raise self._refuse(op, "neither input is a single pixel of as many channels")
        self._layer(op, "gate", inputs=2)

    def _resize_bilinear(self, op: Operator) -> None:
        source, options = self._view(op).size, op.options
        double = op.outputs[0].shape[1:3] == (2 * source[0], 2 * source[1])
        if not double or options.alignCorners or not options.halfPixelCenters:
            raise self._refuse(op, "it does not double rows and columns by half-pixel centres")
        self._layer(op, "resize")

    def _slice(self, op: Operator) -> None:
        view, target, begin = self._view(op), op.outputs[0], op.constant(1).integers
        (_, y, x, c), (_, height, width, channels) = begin, target.shape
        self.views[target.index] = _View(
            view.channels[c : c + channels],
            view.rows[y : y + height],
            view.columns[x : x + width],
            view.size,
        )

    def _concatenation(self, op: Operator) -> None:
        target = op.outputs[0]
        for tensor in op.inputs:
            assert tensor is not None
            if (tensor.scales, tensor.zero_points) != (target.scales, target.zero_points):
                raise self._refuse(op, "its inputs differ in scale")
        views = [self._view(op, place) for place in range(len(op.inputs))]
        names = ["rows", "columns", "channels", "size"]
        joined = names.pop(op.options.axis % 4 - 1)
        if any(getattr(view, name) != getattr(views[0], name) for view in views for name in names):
            raise self._refuse(op, "it joins parts of different tensors")
        whole = tuple(item for view in views for item in getattr(view, joined))
        self.views[target.index] = replace(views[0], **{joined: whole})

    def _activate(self, op: Operator, table: np.ndarray) -> None:
        source = op.inputs[0]
        assert source is not None
        view = self._view(op)
        number = view.channels[0][0]
        whole = tuple((number, c) for c in range(self.values[number].channels))
        written = {layer.value: place for place, layer in enumerate(self.layers)}
        layer = self.layers[written[number]] if number in written else None
        if (
            layer is None
            or view.channels != whole
            or not view.is_plain
            or self.readers[source.index] > 1
            or layer.activation is not None
            or layer.kind not in _ACTIVATED
        ):
            raise self._refuse(op, "what it activates is read elsewhere, too, or no convolution")
        self.layers[written[number]] = replace(layer, activation=table)
        self.views[op.outputs[0].index] = view

    def _leaky_relu(self, op: Operator) -> None:
        self._activate(op, tables.leaky_relu(*self._scales(op), op.options.alpha))

    def _relu(self, op: Operator) -> None:
        self._activate(op, tables.relu(*self._scales(op)))

    def _hard_swish(self, op: Operator) -> None:
        self._activate(op, tables.hard_swish(*self._scales(op)))

    def _relu6(self, op: Operator) -> None:
        """TensorFlow Lite Micro clamps and does not look at scales."""
        table = tables.clamp(self._scales(op)[0], 6)
        if table is None:
            self.views[op.outputs[0].index] = self._view(op)
        else:
            self._activate(op, table)

    def _scales(self, op: Operator) -> tuple[Tensor, Tensor]:
        """The tensors between which an activation lies."""
        source = op.inputs[0]
        assert source is not None
        return source, op.outputs[0]
