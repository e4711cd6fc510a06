"""Reads what the kit needs from a `.tflite` file without an interpreter: names, shapes,
quantization and the embedded `ModelSpec`.

Field numbers are those of TensorFlow Lite's schema (`schema.fbs`, version 3).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flatbuffers import encode, packer
from flatbuffers.table import Table

from runtime.errors import KitError
from runtime.spec import METADATA_NAME, ModelSpec

_FILE_IDENTIFIER = b"TFL3"
_TENSOR_TYPES = {0: "FLOAT32", 2: "INT32", 3: "UINT8", 7: "INT16", 9: "INT8"}
_BROKEN = (struct.error, IndexError, TypeError, ValueError, UnicodeDecodeError, OverflowError)


@dataclass(frozen=True)
class TensorInfo:
    """One tensor: its name, shape, type and (per-tensor) quantization."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class TfliteFile:
    """A model file of this kit: bytes, spec, input and outputs in the spec's order."""

    path: str
    content: bytes
    spec: ModelSpec
    input: TensorInfo
    outputs: tuple[TensorInfo, ...]

    @property
    def sha256(self) -> str:
        """Checksum of the file, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> TfliteFile:
        """Read and check a file.

        Raises `KitError` when it is no TFLite file, carries no spec of this kit, or its tensors
        contradict the spec.
        """
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise KitError(f"{path}: cannot be read ({error.strerror})") from None
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, path: str) -> TfliteFile:
        """As `read`, from bytes; `path` names them in errors."""
        if content[4:8] != _FILE_IDENTIFIER:
            raise KitError(f"{path}: not a TFLite file")
        try:
            model = _Node(content, encode.Get(packer.uoffset, content, 0))
            _touch_everything(model)
            spec_text = _spec_text(model)
            graph = model.children(2)[0]
            tensors = graph.children(0)
            inputs = [_tensor_info(tensors[i]) for i in graph.integers(1)]
            outputs = tuple(_tensor_info(tensors[i]) for i in graph.integers(2))
        except _BROKEN:
            raise KitError(f"{path}: damaged or truncated TFLite file") from None
        if spec_text is None:
            raise KitError(
                f"{path}: no NanoDet model spec inside; only files built by this kit's recipe.sh "
                "carry one"
            )
        spec = ModelSpec.from_json(spec_text, path)
        _check_tensors(path, spec, inputs, outputs)
        return cls(path, content, spec, inputs[0], outputs)


def _touch_everything(model: _Node) -> None:
    """Read what a cut file lacks first, for some interpreters go on past its end."""
    for buffer in model.children(4):
        buffer.bytes(0)
    for code in model.children(1):
        code.scalar(0, 0, "<b")
        code.scalar(3, 0, "<i")


def _check_tensors(
    path: str, spec: ModelSpec, inputs: list[TensorInfo], outputs: tuple[TensorInfo, ...]
) -> None:
    input_shapes = [t.shape for t in inputs]
    expected_input = spec.input_shape_nhwc
    if input_shapes != [expected_input]:
        raise KitError(f"{path}: inputs {input_shapes}, its spec says {[expected_input]}")
    actual = {t.name: t.shape for t in outputs}
    expected = {name: spec.output_shape_nhwc(name) for name in spec.output_names}
    if actual != expected or len(outputs) != len(expected):
        raise KitError(f"{path}: outputs {actual}, its spec says {expected}")


def _spec_text(model: _Node) -> str | None:
    buffers = model.children(4)
    for entry in model.children(6):
        if entry.text(0) == METADATA_NAME:
            return buffers[entry.scalar(1, 0, "<I")].bytes(0).decode("utf-8")
    return None


def _tensor_info(tensor: _Node) -> TensorInfo:
    quantization = tensor.child(4)
    scales = quantization.floats(2) if quantization else np.zeros(0)
    zero_points = quantization.longs(3) if quantization else np.zeros(0)
    code = tensor.scalar(1, 0, "<b")
    return TensorInfo(
        name=tensor.text(3),
        shape=tuple(int(n) for n in tensor.integers(0)),
        dtype=_TENSOR_TYPES.get(code, f"type {code}"),
        scale=float(scales[0]) if len(scales) == 1 else 0.0,
        zero_point=int(zero_points[0]) if len(zero_points) == 1 else 0,
    )


class _Node:
    """A flatbuffer table whose fields are read by number."""

    def __init__(self, content: bytes, position: int) -> None:
        self._table = Table(content, position)

    def _offset(self, field: int) -> int:
        return self._table.Offset(4 + 2 * field)

    def scalar(self, field: int, default: int, layout: str) -> int:
        offset = self._offset(field)
        if not offset:
            return default
        return struct.unpack_from(layout, self._table.Bytes, self._table.Pos + offset)[0]

    def text(self, field: int) -> str:
        offset = self._offset(field)
        return self._table.String(self._table.Pos + offset).decode("utf-8") if offset else ""

    def child(self, field: int) -> _Node | None:
        offset = self._offset(field)
        if not offset:
            return None
        return _Node(self._table.Bytes, self._table.Indirect(self._table.Pos + offset))

    def children(self, field: int) -> list[_Node]:
        offset = self._offset(field)
        if not offset:
            return []
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        self._within(start, 4 * count)
        return [_Node(self._table.Bytes, self._table.Indirect(start + 4 * i)) for i in range(count)]

    def bytes(self, field: int) -> bytes:
        offset = self._offset(field)
        if not offset:
            return b""
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        self._within(start, count)
        return self._table.Bytes[start : start + count]

    def integers(self, field: int) -> np.ndarray:
        return self._vector(field, "<i4")

    def longs(self, field: int) -> np.ndarray:
        return self._vector(field, "<i8")

    def floats(self, field: int) -> np.ndarray:
        return self._vector(field, "<f4")

    def _vector(self, field: int, dtype: str) -> np.ndarray:
        offset = self._offset(field)
        if not offset:
            return np.zeros(0, dtype)
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        return np.frombuffer(self._table.Bytes, dtype, count, start)

    def _within(self, start: int, length: int) -> None:
        if start + length > len(self._table.Bytes):
            raise IndexError(f"vector at {start} of {length} bytes leaves the file")
