"""The one view on the graph of a whole TFLite file, this kit's or not: TensorFlow's schema objects
(`ModelT`) in plain values.

Nothing is refused that LiteRT runs: what a file says is kept as it stands, and what makes no sense
of an operator, such as a convolution without inputs, is for its readers to find.
`quantize.flatbuffer` changes and writes a `ModelT`; a view of before does not change with it.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import KitError
from .operators import CUSTOM
from .tflite_schema import FILE_IDENTIFIER, read_any_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError:
    raise KitError("package ai-edge-litert, for the file format, is not installed") from None


def _names(enumeration: type) -> dict[int, str]:
    return {code: name for name, code in vars(enumeration).items() if isinstance(code, int)}


_TYPES, _OPERATORS = _names(schema.TensorType), _names(schema.BuiltinOperator)
_BITS = {"INT2": 2, "INT4": 4, "UINT4": 4, "FLOAT16": 16, "BFLOAT16": 16, "INT16": 16, "UINT16": 16}
_BITS |= {"FLOAT32": 32, "INT32": 32, "UINT32": 32, "FLOAT64": 64, "INT64": 64, "UINT64": 64}
_BITS |= {"COMPLEX64": 64, "COMPLEX128": 128}  # All others 8.
_LAYOUTS = {"FLOAT32": "<f4", "INT8": "<i1", "INT32": "<i4", "INT64": "<i8"}  # Of constants read.
_NO_VALUES = np.zeros(0, np.uint8)  # What buffer 0 stands for, even where there is none.
_DAMAGE = (ValueError, TypeError, IndexError, OverflowError, struct.error)  # What unpacking raises.


@dataclass(frozen=True)
class Tensor:
    """dtype: the schema's name, such as INT8. scales, zero_points: none, one, or one per channel of
    `axis`. buffer: its number. data: bytes that the file holds of it; none for an activation."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    buffer: int
    data: NDArray[np.uint8] = field(repr=False, compare=False)

    @property
    def is_constant(self) -> bool:
        """Does the file hold its values?"""
        return len(self.data) > 0

    @property
    def elements(self) -> int:
        """How many values; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """In memory."""
        return -(-self.elements * _BITS.get(self.dtype, 8) // 8)

    @property
    def values(self) -> NDArray[Any]:
        """A constant's values in its shape. Raises `KeyError` for a type that no weight, bias or
        list of positions has."""
        return np.frombuffer(self.data.tobytes(), _LAYOUTS[self.dtype]).reshape(self.shape)

    @property
    def integers(self) -> tuple[int, ...]:
        """Values of an INT32 constant; none of anything else."""
        if self.dtype != "INT32" or len(self.data) % 4:
            return ()
        return tuple(int(n) for n in self.data.view("<i4"))

    @property
    def floats(self) -> NDArray[np.float32]:
        """A constant's values as float32, in its shape; quantized ones dequantized."""
        if self.dtype == "FLOAT32":
            return self.values
        along = [1] * len(self.shape)
        along[self.axis] = len(self.scales)
        real = self.values * np.array(self.scales, np.float64).reshape(along)
        result: NDArray[np.float32] = real.astype(np.float32)
        return result


@dataclass(frozen=True)
class Operator:
    """name: such as CONV_2D; a custom one's with its own name. inputs: None for what is left out.
    packed: the schema's object."""

    position: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    packed: Any = field(repr=False, compare=False)

    @property
    def options(self) -> Any:
        """The schema's object, or None."""
        return self.packed.builtinOptions

    @property
    def custom(self) -> str | None:
        """A custom operator's own name; None for one of TensorFlow Lite's."""
        return self.name[len(CUSTOM) + 1 :] if self.name.startswith(CUSTOM) else None

    def input(self, place: int) -> Tensor | None:
        """None where there is none."""
        return self.inputs[place] if place < len(self.inputs) else None

    def constant(self, place: int) -> Tensor:
        """An input whose values the file holds. Raises `KitError` where there is none."""
        found = self.input(place)
        if found is None or not found.is_constant:
            raise KitError(f"{self.label}: its input {place} is no constant")
        return found

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

    @property
    def halves(self) -> bool:
        """Does its window move by 2, with SAME padding?"""
        found = [getattr(self.options, name, None) for name in ("padding", "strideH")]
        return found == [schema.Padding.SAME, 2]


@dataclass(frozen=True)
class Graph:
    """The first subgraph of a file. model: the file as `ModelT`. subgraphs: how many there are.
    content: the file, b"" where it was never written. constant_bytes: of all constants."""

    model: Any = field(repr=False, compare=False)
    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    subgraphs: int
    content: bytes = field(repr=False, compare=False)
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
            read_any_model(content)  # The schema's objects believe every offset.
            return cls.of(unpack(content), content)
        except _DAMAGE as error:
            raise KitError(f"{path}: damaged or truncated TFLite file ({error})") from None

    @classmethod
    def of(cls, model: Any, content: bytes = b"") -> Graph:
        """The graph of a `ModelT`; content: of the file, where it was read from one."""
        if not model.subgraphs:
            raise ValueError("it holds no graph")
        values = [_values(buffer, content) for buffer in _listed(model.buffers)]
        first = model.subgraphs[0]
        tensors = tuple(_tensor(i, t, values) for i, t in enumerate(_listed(first.tensors)))
        codes = [_code_name(code) for code in _listed(model.operatorCodes)]
        operators = (
            Operator(
                position,
                _item(codes, op.opcodeIndex, "operator code"),
                tuple(_chosen(tensors, op.inputs)),
                tuple(t for t in _chosen(tensors, op.outputs) if t is not None),
                op,
            )
            for position, op in enumerate(_listed(first.operators))
        )
        return cls(
            model,
            tuple(operators),
            tensors,
            tuple(t for t in _chosen(tensors, first.inputs) if t is not None),
            tuple(t for t in _chosen(tensors, first.outputs) if t is not None),
            len(model.subgraphs),
            content,
            sum(map(len, values)),
        )

    def named(self, name: str) -> list[Operator]:
        """The operators of a name."""
        return [op for op in self.operators if op.name == name]

    @property
    def counts(self) -> Counter[str]:
        """How often each operator occurs."""
        return Counter(op.name for op in self.operators)

    @cached_property
    def signature(self) -> dict[str, int]:
        """Number of each output's tensor by the name in the file's only signature; empty where it
        has none, or several."""
        if len(_listed(self.model.signatureDefs)) != 1:
            return {}
        return {text(o.name): int(o.tensorIndex) for o in self.model.signatureDefs[0].outputs}


def unpack(content: bytes) -> Any:
    """Content of a file that is known to be sound -> `ModelT`."""
    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


def text(name: bytes | str | None) -> str:
    """A name as text; the schema's objects have bytes, in files of others not always UTF-8."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name or ""


def _listed(items: Sequence[Any] | None) -> Sequence[Any]:
    return () if items is None else items


def _code_name(code: Any) -> str:
    """Name of an operator, `BUILTIN 999` of one that is newer than the package."""
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = _OPERATORS.get(number, f"BUILTIN {number}")
    return f"{name} {text(code.customCode)}".rstrip() if name == CUSTOM else name


def _values(buffer: Any, content: bytes) -> NDArray[np.uint8]:
    """A buffer's bytes. Large files have them behind the tables."""
    start, size = buffer.offset, buffer.size
    if start <= 1:  # 1 stands for a place that is not known yet.
        return _NO_VALUES if buffer.data is None else np.asarray(buffer.data, np.uint8)
    if start + size > len(content):
        raise ValueError(f"{size} bytes at {start} leave the file")
    return np.frombuffer(content, np.uint8, size, start)


def _tensor(index: int, packed: Any, values: Sequence[NDArray[np.uint8]]) -> Tensor:
    quantization = packed.quantization or schema.QuantizationParametersT()
    shape = tuple(int(n) for n in _listed(packed.shape))
    if min(shape, default=0) < 0:
        raise ValueError(f"tensor {index} has shape {shape}")
    return Tensor(
        index,
        text(packed.name),
        shape,
        _TYPES.get(packed.type, f"type {packed.type}"),
        tuple(float(s) for s in _listed(quantization.scale)),
        tuple(int(z) for z in _listed(quantization.zeroPoint)),
        int(quantization.quantizedDimension),
        int(packed.buffer),
        _item(values, packed.buffer, "buffer") if packed.buffer else _NO_VALUES,
    )


def _chosen(tensors: Sequence[Tensor], indices: Sequence[int] | None) -> Iterable[Tensor | None]:
    """None for -1, which stands for a tensor that is left out."""
    return (None if i == -1 else _item(tensors, i, "tensor") for i in _listed(indices))


def _item(items: Sequence[Any], index: int, what: str) -> Any:
    if not 0 <= index < len(items):
        raise ValueError(f"there is no {what} {index}")
    return items[index]
