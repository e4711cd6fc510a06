"""The graph of any TFLite file, this kit's or not, in plain values."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from runtime import graph_file
from runtime.errors import KitError
from runtime.tflite_schema import UnknownField, read_model

_FILE_IDENTIFIER = b"TFL3"
_BITS = {"INT4": 4, "FLOAT16": 16, "INT16": 16, "UINT16": 16, "FLOAT32": 32, "INT32": 32}
_BITS |= {"UINT32": 32, "FLOAT64": 64, "INT64": 64, "UINT64": 64, "COMPLEX64": 64}
_IMAGE_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
_BROKEN = (
    *(struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError),
    *(OverflowError, MemoryError, RecursionError),
)


@dataclass(frozen=True)
class Tensor:
    """dtype: the schema's name, such as INT8. scales, zero_points: none, one, or one a channel.
    data: what the file holds of it; empty for an activation."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    data: bytes = field(repr=False)

    @property
    def elements(self) -> int:
        """How many values; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """In memory."""
        return -(-self.elements * _BITS.get(self.dtype, 8) // 8)

    @property
    def integers(self) -> tuple[int, ...]:
        """Values of an INT32 constant; none of anything else."""
        if self.dtype != "INT32":
            return ()
        return tuple(int(n) for n in np.frombuffer(self.data, "<i4"))


@dataclass(frozen=True)
class Operator:
    """name: such as CONV_2D; a custom one's with its own name. inputs: None for what is left out.
    options: the schema's object, or None."""

    position: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any = field(repr=False)

    @property
    def label(self) -> str:
        """To tell it from others: `CONV_2D 5`."""
        return f"{self.name} {self.position}"

    @property
    def rank(self) -> int:
        """The most dimensions that one of its tensors has."""
        return max((len(t.shape) for t in (*self.inputs, *self.outputs) if t), default=0)


@dataclass(frozen=True)
class Graph:
    """The first subgraph of a file. subgraphs: how many there are. constant_bytes: of all
    constants."""

    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    subgraphs: int
    file_bytes: int
    constant_bytes: int

    @classmethod
    def read(cls, path: Path) -> Graph:
        """Read any TFLite file. Raises `KitError` for anything else."""
        try:
            return cls.parse(path.read_bytes(), str(path))
        except OSError as error:
            raise KitError(f"{path}: cannot be read ({error.strerror})") from None

    @classmethod
    def parse(cls, content: bytes, path: str) -> Graph:
        """As `read`, from bytes; `path` names them in errors."""
        if content[4:8] != _FILE_IDENTIFIER:
            raise KitError(f"{path}: not a TFLite file")
        try:
            read_model(content)  # The schema's objects believe every length.
            graph = _graph(graph_file.parse(content), len(content))
        except UnknownField as error:
            raise KitError(f"{path}: uses {error}") from None
        except _BROKEN:
            raise KitError(f"{path}: damaged or truncated TFLite file") from None
        if not graph.operators:
            raise KitError(f"{path}: holds no operator")
        return graph

    def named(self, name: str) -> list[Operator]:
        """The operators of a name."""
        return [op for op in self.operators if op.name == name]


def _graph(model: Any, file_bytes: int) -> Graph:
    first = model.subgraphs[0]
    tensors = [_tensor(model, i) for i in range(len(first.tensors))]
    return Graph(
        tuple(_operator(model, tensors, i) for i in range(len(first.operators))),
        tuple(tensors[i] for i in _indices(first.inputs)),
        tuple(tensors[i] for i in _indices(first.outputs)),
        len(model.subgraphs),
        file_bytes,
        sum(len(b.data) for b in model.buffers if b.data is not None),
    )


def _tensor(model: Any, index: int) -> Tensor:
    tensor = model.subgraphs[0].tensors[index]
    data, quantization = model.buffers[tensor.buffer].data, tensor.quantization
    shape = tuple(int(n) for n in _list(tensor.shape))
    if min(shape, default=1) < 0:
        raise ValueError("a negative dimension")
    return Tensor(
        index,
        graph_file.text(tensor.name or ""),
        shape,
        graph_file.TENSOR_TYPES[tensor.type],
        tuple(float(s) for s in _list(quantization and quantization.scale)),
        tuple(int(z) for z in _list(quantization and quantization.zeroPoint)),
        b"" if data is None else bytes(data),
    )


def _operator(model: Any, tensors: list[Tensor], position: int) -> Operator:
    operator = model.subgraphs[0].operators[position]
    name = graph_file.operator_name(model, operator)
    custom = model.operatorCodes[operator.opcodeIndex].customCode
    inputs = tuple(None if i == -1 else tensors[i] for i in _indices(operator.inputs, -1))
    outputs = tuple(tensors[i] for i in _indices(operator.outputs))
    if name in _IMAGE_OPERATORS:
        images = (*inputs[: 2 if "CONV" in name else 1], *outputs[:1])
        if len(images) < (3 if "CONV" in name else 2) or not all(map(_is_image, images)):
            raise ValueError(f"{name} of something that is no image")
    label = f"{name} {graph_file.text(custom)}" if custom else name
    return Operator(position, label, inputs, outputs, operator.builtinOptions)


def _is_image(tensor: Tensor | None) -> bool:
    return tensor is not None and len(tensor.shape) == 4


def _indices(values: Any, least: int = 0) -> list[int]:
    """Of tensors; Python would take those below 0 from the end."""
    found = [int(i) for i in _list(values)]
    if min(found, default=0) < least:
        raise IndexError(f"tensor {min(found)}")
    return found


def _list(values: Any) -> Any:
    return () if values is None else values
