"""Small TFLite files made by hand, for rules and readers, and what the doctor takes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from analysis.diagnosis import Subject
from analysis.memory import memory
from quantize import flatbuffer
from runtime.benchmark.board import load
from runtime.tflite_graph import Graph

_WIDTHS = {"INT8": "i1", "INT16": "<i2", "INT32": "<i4", "FLOAT32": "<f4"}


class Maker:
    """A graph operator by operator; each tensor is called by its name."""

    def __init__(self, *shape: int, dtype: str = "INT8", scale: float = 1.0, zero: int = -128):
        self.model = schema.ModelT()
        self.model.version, self.model.operatorCodes, self.model.metadata = 3, [], []
        self.model.buffers = [schema.BufferT()]
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._names: dict[str, int] = {}
        self.model.subgraphs = [self._graph]
        self._graph.inputs = [self.tensor("input", shape, dtype, (scale,), zero)]
        self._graph.outputs = []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "INT8",
        scales: Sequence[float] = (0.5,),
        zero: int = 0,
        values: Sequence[int] | np.ndarray | None = None,
    ) -> int:
        """Add a tensor; a constant where there are `values`."""
        made = schema.TensorT()
        made.name, made.shape, made.type = name, list(shape), getattr(schema.TensorType, dtype)
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.array(scales, np.float32)
        made.quantization.zeroPoint = np.full(len(scales), zero, np.int64)
        made.buffer = 0
        if values is not None:
            content = np.asarray(values, _WIDTHS[dtype]).tobytes()
            made.buffer = flatbuffer.add_buffer(self.model, content)
        self._graph.tensors.append(made)
        self._names[name] = len(self._graph.tensors) - 1
        return self._names[name]

    def add(
        self, operator: str, inputs: Sequence[str], output: str, options: object = None
    ) -> Maker:
        """Add an operator whose tensors are all there."""
        op = schema.OperatorT()
        op.opcodeIndex = flatbuffer.operator_code(self.model, operator)
        op.inputs = [self._names[name] for name in inputs]
        op.outputs = [self._names[output]]
        if options is not None:
            kind = type(options).__name__[:-1]
            op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            op.builtinOptions = options
        self._graph.operators.append(op)
        self._graph.outputs = [self._names[output]]
        return self

    def step(
        self,
        operator: str,
        *shape: int,
        options: object = None,
        constants: Sequence[Sequence[int]] = (),
        dtype: str = "INT8",
        scale: float = 0.5,
        zero: int = 0,
    ) -> Maker:
        """Add an operator that reads the last one's output and int32 constants."""
        count = len(self._graph.operators)
        names = [self._last]
        for index, values in enumerate(constants):
            names.append(f"constant_{count}_{index}")
            pads = operator in ("PAD", "PADV2", "MIRROR_PAD") and index == 0
            form = (len(values) // 2, 2) if pads else (len(values),)
            self.tensor(names[-1], form, "INT32", (), values=values)
        self.tensor(f"tensor_{count}", shape, dtype, (scale,), zero)
        return self.add(operator, names, f"tensor_{count}", options)

    def convolution(
        self, *shape: int, kernel: int = 1, stride: int = 1, per_channel: bool = True
    ) -> Maker:
        """Add a convolution with SAME padding to that output shape."""
        count, source = len(self._graph.operators), self._graph.tensors[self._names[self._last]]
        channels = shape[-1] if per_channel else 1
        form = (shape[-1], kernel, kernel, source.shape[-1])
        weight, bias, made = (f"{what}_{count}" for what in ("weight", "bias", "tensor"))
        self.tensor(weight, form, "INT8", (0.1,) * channels, values=np.arange(np.prod(form)) % 7)
        self.tensor(bias, (shape[-1],), "INT32", (0.1,) * channels, values=[0] * shape[-1])
        self.tensor(made, shape)
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = stride
        return self.add("CONV_2D", [self._last, weight, bias], made, options)

    def pool(self, *shape: int) -> Maker:
        """Add a 3x3 max-pool with stride 2 and SAME padding to that output shape."""
        options = schema.Pool2DOptionsT()
        options.strideH = options.strideW = 2
        options.filterHeight = options.filterWidth = 3
        return self.step("MAX_POOL_2D", *shape, options=options)

    @property
    def last_options(self) -> Any:
        """The schema's object, of the last operator."""
        return self._graph.operators[-1].builtinOptions

    @property
    def tensors(self) -> list[Any]:
        """The schema's objects, in order."""
        tensors: list[Any] = self._graph.tensors
        return tensors

    def add_subgraph(self) -> None:
        """Add the same graph once more, as control flow brings them."""
        self.model.subgraphs.append(self._graph)

    @property
    def _last(self) -> str:
        if not self._graph.operators:
            return "input"
        name: str = self._graph.tensors[self._graph.operators[-1].outputs[0]].name
        return name

    def write(self, path: Path) -> Path:
        """The file."""
        path.write_bytes(flatbuffer.serialize(self.model))
        return path


def subject(path: Path, board: str, own: bool = False) -> Subject:
    """What the rules are asked about."""
    graph = Graph.read(path)
    return Subject(path, graph, memory(graph), load(board), own)


def image(**settings: Any) -> Maker:
    """A graph that begins with a small image, the pixel less 128."""
    return Maker(1, 8, 8, 4, **settings)


def leaky(maker: Maker, *shape: int, dtype: str = "INT8") -> Maker:
    """Add a LEAKY_RELU."""
    options = schema.LeakyReluOptionsT()
    options.alpha = 0.1
    return maker.step("LEAKY_RELU", *(shape or (1, 8, 8, 4)), options=options, dtype=dtype)


def moved(maker: Maker, operator: str, *shape: int, **settings: Any) -> Maker:
    """Add an operator that only moves values, so that the quantization stays the input's."""
    return maker.step(operator, *shape, scale=1.0, zero=-128, **settings)


def transposed(rank: int) -> Maker:
    """A channel shuffle as a transpose of rank 3 or 5."""
    if rank == 5:
        made = moved(image(), "RESHAPE", 1, 8, 8, 2, 2, constants=[[1, 8, 8, 2, 2]])
        return moved(made, "TRANSPOSE", 1, 8, 8, 2, 2, constants=[[0, 1, 2, 4, 3]])
    made = moved(image(), "RESHAPE", 64, 2, 2, constants=[[64, 2, 2]])
    return moved(made, "TRANSPOSE", 64, 2, 2, constants=[[0, 2, 1]])


def gathered() -> Maker:
    """A channel shuffle as a GATHER."""
    options = schema.GatherOptionsT()
    options.axis = 3
    return moved(image(), "GATHER", 1, 8, 8, 4, options=options, constants=[[2, 0, 3, 1]])


def sliced(step: int) -> Maker:
    """Half of the channels, or each second of them."""
    options = schema.StridedSliceOptionsT()
    end, steps = [1, 8, 8, 2 * step], [1, 1, 1, step]
    constants = [[0, 0, 0, 0], end, steps]
    return moved(image(), "STRIDED_SLICE", 1, 8, 8, 2, options=options, constants=constants)


def resized(to: int) -> Maker:
    """Another height and width, by RESIZE_BILINEAR."""
    options = schema.ResizeBilinearOptionsT()
    return moved(image(), "RESIZE_BILINEAR", 1, to, to, 4, options=options, constants=[[to, to]])


def padded(operator: str = "PAD") -> Maker:
    """A border of one pixel."""
    return moved(image(), operator, 1, 10, 10, 4, constants=[[0, 0, 1, 1, 1, 1, 0, 0]])


def pooled(operator: str, window: int, stride: int) -> Maker:
    """A pool with VALID padding."""
    options = schema.Pool2DOptionsT()
    options.strideH = options.strideW = stride
    options.filterHeight = options.filterWidth = window
    options.padding = schema.Padding.VALID
    size = (8 - window) // stride + 1
    return moved(image(), operator, 1, size, size, 4, options=options)


def customs(code: str) -> Maker:
    """One custom operator."""
    made = image().step("CUSTOM", 1, 8, 8, 4)
    made.model.operatorCodes[0].customCode = code
    return made
