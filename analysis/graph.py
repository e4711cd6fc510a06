"""The graph of any TFLite file, this kit's or not, in plain values.

Nothing is refused that LiteRT runs: what a file says is kept as it stands, and what makes no sense
of an operator, such as a convolution without inputs, is for its readers to find.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import graph_file
from runtime.errors import KitError
from runtime.tflite_schema import FILE_IDENTIFIER, Table, read_any_model

_CUSTOM = "CUSTOM"
_BITS = {"INT2": 2, "INT4": 4, "UINT4": 4, "FLOAT16": 16, "BFLOAT16": 16, "INT16": 16, "UINT16": 16}
_BITS |= {"FLOAT32": 32, "INT32": 32, "UINT32": 32, "FLOAT64": 64, "INT64": 64, "UINT64": 64}
_BITS |= {"COMPLEX64": 64, "COMPLEX128": 128}  # All others 8.
_NO_VALUES = np.zeros(0, np.uint8)  # What buffer 0 stands for, even where there is none.


@dataclass(frozen=True)
class Tensor:
    """dtype: the schema's name, such as INT8. scales, zero_points: none, one, or one a channel.
    data: bytes that the file holds of it; none for an activation."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    data: NDArray[np.uint8] = field(repr=False, compare=False)

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
        if self.dtype != "INT32" or len(self.data) % 4:
            return ()
        return tuple(int(n) for n in self.data.view("<i4"))


@dataclass(frozen=True)
class Operator:
    """name: such as CONV_2D; a custom one's with its own name. inputs: None for what is left out.
    options: by name, as in `runtime.tflite_schema`; {} where that knows none."""

    position: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Table = field(repr=False, compare=False)

    @property
    def custom(self) -> str | None:
        """A custom operator's own name; None for one of TensorFlow Lite's."""
        return self.name[len(_CUSTOM) + 1 :] if self.name.startswith(_CUSTOM) else None

    def input(self, place: int) -> Tensor | None:
        """None where there is none."""
        return self.inputs[place] if place < len(self.inputs) else None

    @property
    def output(self) -> Tensor | None:
        """The first; None where there is none."""
        return self.outputs[0] if self.outputs else None

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
        if content[4:8] != FILE_IDENTIFIER:
            raise KitError(f"{path}: not a TFLite file")
        try:
            return _graph(read_any_model(content), content)
        except ValueError as error:
            raise KitError(f"{path}: damaged or truncated TFLite file ({error})") from None

    def named(self, name: str) -> list[Operator]:
        """The operators of a name."""
        return [op for op in self.operators if op.name == name]


def _graph(model: Table, content: bytes) -> Graph:
    if not model["subgraphs"]:
        raise ValueError("it holds no graph")
    values = [_values(buffer, content) for buffer in model["buffers"]]
    first = model["subgraphs"][0]
    tensors = [_tensor(i, table, values) for i, table in enumerate(first["tensors"])]
    codes = model["operator_codes"]
    return Graph(
        tuple(_operator(i, op, codes, tensors) for i, op in enumerate(first["operators"])),
        tuple(t for t in _chosen(tensors, first["inputs"]) if t is not None),
        tuple(t for t in _chosen(tensors, first["outputs"]) if t is not None),
        len(model["subgraphs"]),
        len(content),
        sum(map(len, values)),
    )


def _values(buffer: Table, content: bytes) -> NDArray[np.uint8]:
    """A buffer's bytes, a view into the file. Large files have them behind the tables."""
    start, size = buffer["offset"], buffer["size"]
    if start <= 1:  # 1 stands for a place that is not known yet.
        data: NDArray[np.uint8] = buffer["data"]
        return data
    if start + size > len(content):
        raise ValueError(f"{size} bytes at {start} leave the file")
    return np.frombuffer(content, np.uint8, size, start)


def _tensor(index: int, table: Table, values: Sequence[NDArray[np.uint8]]) -> Tensor:
    quantization = table["quantization"] or {"scale": (), "zero_point": ()}
    shape = tuple(int(n) for n in table["shape"])
    if min(shape, default=0) < 0:
        raise ValueError(f"tensor {index} has shape {shape}")
    return Tensor(
        index,
        table["name"],
        shape,
        graph_file.TENSOR_TYPES.get(table["type"], f"type {table['type']}"),
        tuple(float(s) for s in quantization["scale"]),
        tuple(int(z) for z in quantization["zero_point"]),
        _item(values, table["buffer"], "buffer") if table["buffer"] else _NO_VALUES,
    )


def _operator(
    position: int, op: Table, codes: Sequence[Table], tensors: Sequence[Tensor]
) -> Operator:
    code = _item(codes, op["opcode_index"], "operator code")
    number = max(code["builtin_code"], code["deprecated_builtin_code"])
    name = graph_file.builtin_name(number)
    return Operator(
        position,
        f"{name} {code['custom_code']}".rstrip() if name == _CUSTOM else name,
        _chosen(tensors, op["inputs"]),
        tuple(t for t in _chosen(tensors, op["outputs"]) if t is not None),
        op["builtin_options"] or {},
    )


def _chosen(tensors: Sequence[Tensor], indices: Sequence[int]) -> tuple[Tensor | None, ...]:
    """None for -1, which stands for a tensor that is left out."""
    return tuple(None if i == -1 else _item(tensors, i, "tensor") for i in indices)


def _item(items: Sequence[Any], index: int, what: str) -> Any:
    if not 0 <= index < len(items):
        raise ValueError(f"there is no {what} {index}")
    return items[index]
