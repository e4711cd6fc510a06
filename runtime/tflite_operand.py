"""Operators and tensors of a `.tflite` file as `tflite_check` looks at them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .tflite_schema import Table

# Number in the schema -> name and item as numpy knows it.
TYPES = {
    0: ("FLOAT32", "<f4"),
    1: ("FLOAT16", "<f2"),
    2: ("INT32", "<i4"),
    3: ("UINT8", "<u1"),  # What compilers for NPUs write.
    4: ("INT64", "<i8"),
    7: ("INT16", "<i2"),
    9: ("INT8", "<i1"),
}
_ZERO_POINTS = {"INT8": (-128, 127), "INT16": (0, 0), "INT32": (0, 0), "INT64": (0, 0)}
_MAX_SCALE = 1e20
_MAX_TENSOR_BYTES = 1 << 30
_INDEX_TYPES = ("INT32", "INT64")

Shape = tuple[int, ...]


def tensor_type(code: int) -> str:
    """The schema's name of a tensor's type."""
    return TYPES[code][0] if code in TYPES else f"type {code}"


class Operand:
    """A tensor that agrees with its buffer. constant: its values, None for an activation."""

    def __init__(self, table: Table, buffers: Sequence[Table]) -> None:
        self.name, code = table["name"], table["type"]
        if code not in TYPES or table["is_variable"]:
            raise ValueError(f"tensor `{self.name}` is of {tensor_type(code)} or variable")
        self.type, item = TYPES[code]
        self.shape: Shape = tuple(int(n) for n in table["shape"])
        size = math.prod(self.shape) * np.dtype(item).itemsize
        if any(n < 1 for n in self.shape) or size > _MAX_TENSOR_BYTES:
            raise ValueError(f"tensor `{self.name}` has shape {self.shape}")
        content = buffers[table["buffer"]]["data"]
        self.constant = content.view(item) if len(content) == size else None
        if len(content) and self.constant is None:
            raise ValueError(f"tensor `{self.name}` takes {size} bytes, has {len(content)}")
        if content.ctypes.data % np.dtype(item).itemsize:
            raise ValueError(f"the values of tensor `{self.name}` are not aligned")
        self._read_quantization(table["quantization"])

    def _read_quantization(self, quantization: Table | None) -> None:
        scales = quantization["scale"] if quantization else np.zeros(0, np.float32)
        zeros = quantization["zero_point"] if quantization else np.zeros(0, np.int64)
        axis = quantization["quantized_dimension"] if quantization else 0
        self.scales, self.axis = scales, int(axis)
        lowest, highest = _ZERO_POINTS.get(self.type, (0, 0))
        sound = (
            len(scales) == len(zeros)
            and bool(np.all((scales > 0) & (scales < _MAX_SCALE)))
            and bool(np.all((zeros >= lowest) & (zeros <= highest)))
            and (len(scales) <= 1 or self._has_axis(self.axis, len(scales)))
        )
        if not sound or (quantization and quantization["details_type"]):
            raise ValueError(f"tensor `{self.name}` has unsound scales or zero points")

    def _has_axis(self, axis: int, size: int) -> bool:
        return 0 <= axis < len(self.shape) and self.shape[axis] == size

    @property
    def indices(self) -> list[int]:
        """Values of a constant of positions or sizes."""
        if self.constant is None or self.type not in _INDEX_TYPES:
            raise ValueError(f"tensor `{self.name}` is no constant of whole numbers")
        return [int(value) for value in self.constant]


class Call:
    """An operator with its tensors. options: its own table, {} where there is none."""

    def __init__(self, op: Table, tensors: Sequence[Operand]) -> None:
        self.inputs = [tensors[i] if i >= 0 else None for i in op["inputs"]]
        self.outputs = [tensors[i] for i in op["outputs"]]
        self.options: Table = op["builtin_options"] or {}

    def input(self, place: int) -> Operand:
        tensor: Operand | None = self.inputs[place] if place < len(self.inputs) else None
        if tensor is None:
            raise ValueError(f"input {place} is missing")
        return tensor

    def option(self, name: str, lowest: int, highest: int) -> int:
        value = int(self.options[name])
        if not lowest <= value <= highest:
            raise ValueError(f"{name} is {value}")
        return value
