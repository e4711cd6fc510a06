"""Reads a `.tflite` file's tables as plain values, and believes no offset in it.

Interpreters take a file at its word; a damaged one makes them read and write anywhere. What this
module has read lies within the file, so that only its meaning is left to check, see
`runtime.tflite_check`. Field numbers are those of TensorFlow Lite's schema (`schema.fbs`,
version 3). Fields that no file of this kit has are left out: `read_model` refuses a file with one,
`read_any_model` does not look at it.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A table's fields by name. Values of fields are dicts, too.
Table = dict[str, Any]

FILE_IDENTIFIER = b"TFL3"


# Field number, what it is, and for numbers the default. What: `struct`'s letter of a number; a
# vector of numbers as `[letter]`; `text`; a table's name; a vector of tables as `[name]`.
_Field = tuple[int, str, Any]
_TABLES: dict[str, dict[str, _Field]] = {
    "Model": {
        "version": (0, "I", 0),
        "operator_codes": (1, "[OperatorCode]", None),
        "subgraphs": (2, "[SubGraph]", None),
        "description": (3, "text", None),
        "buffers": (4, "[Buffer]", None),
        "metadata_buffer": (5, "[i]", None),
        "metadata": (6, "[Metadata]", None),
        "signature_defs": (7, "[SignatureDef]", None),
    },
    "OperatorCode": {
        "deprecated_builtin_code": (0, "b", 0),
        "custom_code": (1, "text", None),
        "version": (2, "i", 1),
        "builtin_code": (3, "i", 0),
    },
    "SubGraph": {
        "tensors": (0, "[Tensor]", None),
        "inputs": (1, "[i]", None),
        "outputs": (2, "[i]", None),
        "operators": (3, "[Operator]", None),
        "name": (4, "text", None),
        "debug_metadata_index": (5, "i", -1),
    },
    "Tensor": {
        "shape": (0, "[i]", None),
        "type": (1, "b", 0),
        "buffer": (2, "I", 0),
        "name": (3, "text", None),
        "quantization": (4, "Quantization", None),
        "is_variable": (5, "?", False),
        "shape_signature": (7, "[i]", None),
        "has_rank": (8, "?", False),
        "variant_tensors": (9, "[VariantSubType]", None),
    },
    "VariantSubType": {
        "shape": (0, "[i]", None),
        "type": (1, "b", 0),
        "has_rank": (2, "?", False),
    },
    "Quantization": {
        "min": (0, "[f]", None),
        "max": (1, "[f]", None),
        "scale": (2, "[f]", None),
        "zero_point": (3, "[q]", None),
        "details_type": (4, "B", 0),
        "quantized_dimension": (6, "i", 0),
    },
    "Operator": {
        "opcode_index": (0, "I", 0),
        "inputs": (1, "[i]", None),
        "outputs": (2, "[i]", None),
        "builtin_options_type": (3, "B", 0),
        "builtin_options": (4, "Options", None),
        "custom_options": (5, "[B]", None),
        "custom_options_format": (6, "b", 0),
        "mutating_variable_inputs": (7, "[?]", None),
        "intermediates": (8, "[i]", None),
        "debug_metadata_index": (13, "i", -1),
    },
    "Buffer": {"data": (0, "[B]", None)},
    "Metadata": {"name": (0, "text", None), "buffer": (1, "I", 0)},
    "SignatureDef": {
        "inputs": (0, "[TensorMap]", None),
        "outputs": (1, "[TensorMap]", None),
        "signature_key": (2, "text", None),
        "key": (3, "text", None),  # Written by converters before 2.6, read by nobody.
        "subgraph_index": (4, "I", 0),
    },
    "TensorMap": {"name": (0, "text", None), "tensor_index": (1, "I", 0)},
}
# What files of other makers may have besides: more tables.
_FOREIGN: dict[str, dict[str, _Field]] = {
    "Tensor": {**_TABLES["Tensor"], "sparsity": (6, "Sparsity", None)},
    "Sparsity": {"dim_metadata": (2, "[DimensionMetadata]", None)},
    "DimensionMetadata": {"dense_size": (1, "i", 0)},
}
# Options of operators, by `builtin_options_type`.
_CONVOLUTION: dict[str, _Field] = {
    "padding": (0, "b", 0),
    "stride_w": (1, "i", 0),
    "stride_h": (2, "i", 0),
}
_OPTIONS: dict[int, dict[str, _Field]] = {
    1: {
        **_CONVOLUTION,
        "fused": (3, "b", 0),
        "dilation_w": (4, "i", 1),
        "dilation_h": (5, "i", 1),
        "quantized_bias_type": (6, "b", 0),
    },
    2: {
        **_CONVOLUTION,
        "depth_multiplier": (3, "i", 0),
        "fused": (4, "b", 0),
        "dilation_w": (5, "i", 1),
        "dilation_h": (6, "i", 1),
    },
    5: {
        **_CONVOLUTION,
        "filter_w": (3, "i", 0),
        "filter_h": (4, "i", 0),
        "fused": (5, "b", 0),
    },
    10: {"axis": (0, "i", 0), "fused": (1, "b", 0)},
    11: {"fused": (0, "b", 0), "pot_scale_int16": (1, "?", True)},
    15: {
        "height": (0, "i", 0),
        "width": (1, "i", 0),
        "align_corners": (2, "?", False),
        "half_pixel_centers": (3, "?", False),
    },
    17: {"new_shape": (0, "[i]", None)},
    23: {"axis": (0, "i", 0), "batch_dims": (1, "i", 0)},
    32: {
        "begin_mask": (0, "i", 0),
        "end_mask": (1, "i", 0),
        "ellipsis_mask": (2, "i", 0),
        "new_axis_mask": (3, "i", 0),
        "shrink_axis_mask": (4, "i", 0),
        "offset": (5, "?", False),
    },
    35: {"num_splits": (0, "i", 0)},
    75: {"alpha": (0, "f", 0.0)},
}


def read_model(content: bytes) -> Table:
    """Table `Model` of a file that an interpreter is to get. Raises `ValueError` where it leads out
    of the file, or has what no file of this kit has."""
    if content[4:8] != FILE_IDENTIFIER:
        raise ValueError("not a TFLite file")
    return _Reader(content, strict=True).model()


def read_any_model(content: bytes) -> Table:
    """Table `Model` of a file of anybody's, which is only looked at. Raises `ValueError` where it
    leads out of the file, or to so many tables that reading them would not end. Text that is no
    UTF-8 gets replacement characters."""
    return _Reader(content, strict=False).model()


class _Reader:
    """Reads at positions that are checked first."""

    def __init__(self, content: bytes, strict: bool) -> None:
        self.content, self._strict = content, strict
        self._tables = _TABLES if strict else {**_TABLES, **_FOREIGN}
        self._on_error = "strict" if strict else "replace"  # Of names.
        # Tables may be shared; so often only by malice.
        self._tables_left = len(content)

    def model(self) -> Table:
        return self.table(self.follow(0), "Model")

    def number(self, position: int, layout: str) -> Any:
        self._within(position, struct.calcsize(f"<{layout}"))
        return struct.unpack_from(f"<{layout}", self.content, position)[0]

    def follow(self, position: int) -> int:
        """Where the offset at `position` leads."""
        return position + int(self.number(position, "I"))

    def table(self, position: int, name: str) -> Table:
        return self._fields(position, self._tables[name])

    def _fields(self, position: int, fields: dict[str, _Field]) -> Table:
        self._tables_left -= 1
        if self._tables_left < 0:
            raise ValueError("tables within tables without end")
        places = self._places(position)
        known = {number for number, _, _ in fields.values()}
        foreign = [number for number, place in enumerate(places) if place and number not in known]
        if foreign and self._strict:
            raise ValueError(f"field {foreign[0]} of a table, which this kit does not know")
        found: Table = {}
        for name, (number, kind, default) in fields.items():
            place = places[number] if number < len(places) else 0
            if kind == "Options":
                found[name] = self._options(place, found["builtin_options_type"])
            else:
                found[name] = self._value(place, kind) if place else _missing(kind, default)
        return found

    def _places(self, position: int) -> list[int]:
        """Position of each field of the table there; 0 for those it leaves out."""
        start = position - int(self.number(position, "i"))
        length, size = self.number(start, "H"), self.number(start + 2, "H")
        if length < 4 or length % 2 or start % 2 or position % 4:
            raise ValueError(f"no table at {position}")
        self._within(start, length)
        offsets = struct.unpack_from(f"<{(length - 4) // 2}H", self.content, start + 4)
        if self._strict:
            self._within(position, size)
            if any(offset >= size for offset in offsets):
                raise ValueError(f"a field leaves the table at {position}")
        return [position + offset if offset else 0 for offset in offsets]

    def _options(self, place: int, kind: int) -> Table | None:
        """None where there are none, or of an operator that no file of this kit has."""
        if not place or kind not in _OPTIONS:
            return None
        return self._fields(self.follow(place), _OPTIONS[kind])

    def _value(self, place: int, kind: str) -> Any:
        if len(kind) == 1:
            if place % struct.calcsize(kind):
                raise ValueError(f"a number at {place} is not aligned")
            return self.number(place, kind)
        start = self.follow(place)
        if kind == "text":
            self._within(start + 4 + int(self.number(start, "I")), 1)  # A zero ends it.
            return self._vector(start, "B").tobytes().decode("utf-8", self._on_error)
        if not kind.startswith("["):
            return self.table(start, kind)
        if len(kind) == 3:
            return self._vector(start, kind[1])
        offsets = self._vector(start, "I")
        return [
            self.table(start + 4 + 4 * i + int(offset), kind[1:-1])
            for i, offset in enumerate(offsets)
        ]

    def _vector(self, start: int, letter: str) -> NDArray[Any]:
        """The numbers of the vector there, a view into the file."""
        count, dtype = int(self.number(start, "I")), np.dtype(f"<{letter}")
        self._within(start + 4, count * dtype.itemsize)
        # Writers align 8-byte numbers to 4 or to 8; interpreters take both.
        if start % 4:
            raise ValueError(f"a vector at {start} is not aligned")
        return np.frombuffer(self.content, dtype, count, start + 4)

    def _within(self, position: int, size: int) -> None:
        if position < 0 or position + size > len(self.content):
            raise ValueError(f"{size} bytes at {position} leave the file")


def _missing(kind: str, default: Any) -> Any:
    """Value of a field that a table leaves out."""
    if kind == "text":
        return ""
    if kind.startswith("["):
        return np.zeros(0, f"<{kind[1]}") if len(kind) == 3 else []
    return default
