"""Int8 networks of all layers that the engine takes, wired at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from tests.analysis.tflite import Maker

_SCALE, _ZERO = 0.05, 3  # Of what may be concatenated.
CLASSES, DISTANCES = 5, 3


class RandomGraph:
    """A file's content, and the tensors of class and distance logits of each level."""

    def __init__(self, seed: int, operators: int) -> None:
        self.rng = np.random.default_rng(seed)
        height, width = (2 * int(n) for n in self.rng.integers(4, 13, 2))
        self.maker = Maker(1, height, width, 3, scale=0.02, zero=-7)
        self.shapes: dict[str, tuple[int, ...]] = {"input": (height, width, 3)}
        self.first = self._window("input", "CONV_2D", 3, 2, self._channels())
        self.live = [self.first]
        for _ in range(operators):
            self._grow()
        tensors = self.rng.permutation(self.live)[: int(self.rng.integers(1, 4))]
        self.levels = [
            tuple(self._window(str(tensor), "CONV_2D", 1, 1, n) for n in (CLASSES, DISTANCES))
            for tensor in tensors
        ]
        graph = self.maker.model.subgraphs[0]
        graph.outputs = [self._number(name) for pair in self.levels for name in pair]
        self.content = flatbuffer.serialize(self.maker.model)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Numbers of the tensors of `levels`."""
        return [(self._number(cls), self._number(reg)) for cls, reg in self.levels]

    def _number(self, name: str) -> int:
        return self.maker._names[name]

    def _channels(self) -> int:
        return int(self.rng.integers(1, 14))

    def _grow(self) -> None:
        kinds = [
            self._pointwise, self._depthwise, self._sum, self._double, self._pool, self._split,
            self._join, self._repeat, self._dense, self._gate,
        ]  # fmt: skip
        weights = np.array([4, 4, 2, 1, 1, 2, 3, 1, 3, 1])
        kind = kinds[int(self.rng.choice(len(kinds), p=weights / weights.sum()))]
        source = str(self.rng.choice(self.live[-4:] if self.rng.random() < 0.7 else self.live))
        made = kind(source)
        self.live += made

    def _pointwise(self, source: str) -> list[str]:
        return [self._active(self._window(source, "CONV_2D", 1, 1, self._channels()))]

    def _dense(self, source: str) -> list[str]:
        height, width, _ = self.shapes[source]
        kernel, stride = (int(n) for n in self.rng.choice([(3, 1), (3, 2), (1, 2), (2, 2), (5, 1)]))
        valid = min(height, width) > kernel and self.rng.random() < 0.2
        made = self._window(source, "CONV_2D", kernel, stride, self._channels(), bool(valid))
        return [self._active(made)]

    def _depthwise(self, source: str) -> list[str]:
        kernel, stride = int(self.rng.integers(3, 6)), int(self.rng.integers(1, 3))
        return [self._active(self._window(source, "DEPTHWISE_CONV_2D", kernel, stride))]

    def _sum(self, source: str) -> list[str]:
        others = [name for name in self.live if self.shapes[name] == self.shapes[source]]
        other = str(self.rng.choice(others))
        target = self._tensor("sum", self.shapes[source])
        self.maker.add("ADD", [source, other], target, schema.AddOptionsT())
        return [self._active(target)]

    def _double(self, source: str) -> list[str]:
        height, width, channels = self.shapes[source]
        if height > 12 or width > 12:
            return []
        options = schema.ResizeBilinearOptionsT()
        options.halfPixelCenters = True
        size = self._constant((2 * height, 2 * width))
        target = self._tensor("double", (2 * height, 2 * width, channels))
        self.maker.add("RESIZE_BILINEAR", [source, size], target, options)
        return [target]

    def _pool(self, source: str) -> list[str]:
        height, width, channels = self.shapes[source]
        if height % 2 or width % 2:
            return []
        options, largest = schema.Pool2DOptionsT(), self.rng.random() < 0.5
        options.strideH = options.strideW = 2
        options.filterHeight = options.filterWidth = 3 if largest else 2
        options.padding = 0 if largest else 1
        target = self._tensor("pool", (height // 2, width // 2, channels))
        name = "MAX_POOL_2D" if largest else "AVERAGE_POOL_2D"
        self.maker.add(name, [source], target, options)
        return [target]

    def _gate(self, source: str) -> list[str]:
        height, width, channels = self.shapes[source]
        options = schema.Pool2DOptionsT()
        options.strideH = options.filterHeight = height
        options.strideW = options.filterWidth = width
        options.padding = 1
        mean = self._tensor("mean", (1, 1, channels))
        target = self._tensor("gated", self.shapes[source])
        self.maker.add("AVERAGE_POOL_2D", [source], mean, options)
        gate = self._active(self._window(mean, "CONV_2D", 1, 1, channels))
        inputs = [source, gate] if self.rng.random() < 0.5 else [gate, source]
        self.maker.add("MUL", inputs, target, schema.MulOptionsT())
        return [target]

    def _split(self, source: str) -> list[str]:
        height, width, channels = self.shapes[source]
        if channels < 2:
            return []
        at = int(self.rng.integers(1, channels))
        return [
            self._slice(source, (0, 0, 0, begin), (height, width, end - begin))
            for begin, end in ((0, at), (at, channels))
        ]

    def _join(self, source: str) -> list[str]:
        size = self.shapes[source][:2]
        others = [name for name in self.live if self.shapes[name][:2] == size]
        chosen = [str(n) for n in self.rng.choice(others, int(self.rng.integers(1, 4)))]
        channels = sum(self.shapes[n][2] for n in (source, *chosen))
        if channels > 30:
            return []
        return [self._concat([source, *chosen], 3, (*size, channels))]

    def _repeat(self, source: str) -> list[str]:
        """A depthwise convolution over repeated borders."""
        for axis in (1, 0):
            shape = list(self.shapes[source])
            end = shape[axis] - 1
            shape[axis] = 1
            ends = [
                self._slice(source, tuple(at if i == axis else 0 for i in range(-1, 3)), shape)
                for at in (0, end)
            ]
            shape[axis] = end + 3
            source = self._concat([ends[0], source, ends[1]], axis + 1, shape)
        return [
            self._window(source, "DEPTHWISE_CONV_2D", 3, int(self.rng.integers(1, 3)), valid=True)
        ]

    def _slice(self, source: str, begin: Sequence[int], shape: Sequence[int]) -> str:
        target = self._tensor("slice", shape)
        constants = self._constant(begin), self._constant((1, *shape))
        self.maker.add("SLICE", [source, *constants], target, schema.SliceOptionsT())
        return target

    def _concat(self, sources: Sequence[str], axis: int, shape: Sequence[int]) -> str:
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        target = self._tensor("concat", shape)
        self.maker.add("CONCATENATION", sources, target, options)
        return target

    def _window(
        self,
        source: str,
        name: str,
        kernel: int,
        stride: int,
        outputs: int = 0,
        valid: bool = False,
    ) -> str:
        height, width, inputs = self.shapes[source]
        deep = name == "DEPTHWISE_CONV_2D"
        outputs = outputs or inputs
        form = (1, kernel, kernel, inputs) if deep else (outputs, kernel, kernel, inputs)
        weight = self.rng.integers(-127, 128, form)
        reads = kernel**2 * (1 if deep else inputs)
        scales = self.rng.uniform(0.5, 2, outputs) / (60 * reads**0.5)
        number = len(self.shapes)
        self.maker.tensor(f"weight_{number}", form, "INT8", scales, values=weight)
        quantization = self.maker.model.subgraphs[0].tensors[-1].quantization
        quantization.quantizedDimension = 3 if deep else 0
        bias = self.rng.integers(-2000, 2000, outputs)
        self.maker.tensor(f"bias_{number}", (outputs,), "INT32", scales * 0.05, values=bias)
        options = schema.DepthwiseConv2DOptionsT() if deep else schema.Conv2DOptionsT()
        options.strideH = options.strideW = stride
        options.padding = int(valid)
        if deep:
            options.depthMultiplier = 1
        less = kernel - 1 if valid else 0
        shape = (-(-(height - less) // stride), -(-(width - less) // stride), outputs)
        target = self._tensor("window", shape)
        self.maker.add(name, [source, f"weight_{number}", f"bias_{number}"], target, options)
        return target

    def _active(self, source: str) -> str:
        """What the newest operator made, with an activation of its own, a fused one, or none."""
        name = str(self.rng.choice(["", "fused", "RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH"]))
        if name in ("", "fused"):
            options = self.maker.model.subgraphs[0].operators[-1].builtinOptions
            options.fusedActivationFunction = int(self.rng.choice([1, 3])) if name else 0
            return source
        target = self._tensor("active", self.shapes[source])
        if name != "LEAKY_RELU":
            self.maker.add(name, [source], target)
        else:
            options = schema.LeakyReluOptionsT()
            options.alpha = 0.1
            self.maker.add("LEAKY_RELU", [source], target, options)
        return target

    def _constant(self, values: Sequence[int]) -> str:
        name = f"constant_{len(self.maker._names)}"
        self.maker.tensor(name, (len(values),), "INT32", (), values=values)
        return name

    def _tensor(self, kind: str, shape: Sequence[int]) -> str:
        name = f"{kind}_{len(self.shapes)}"
        self.shapes[name] = tuple(int(n) for n in shape)
        self.maker.tensor(name, (1, *self.shapes[name]), scales=(_SCALE,), zero=_ZERO)
        return name
