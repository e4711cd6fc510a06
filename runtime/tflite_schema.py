"""Reads a `.tflite` file's tables as plain values, and believes no offset in it.

Interpreters take a file at its word; a damaged one makes them read and write anywhere. What this
module has read lies within the file, so that only its meaning is left to check, see
`runtime.tflite_check`. Field numbers are those of TensorFlow Lite's schema (`schema.fbs`,
version 3). Fields that no file of this kit has are left out: `read_model` refuses a file with one,
`read_any_model` does not look at it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A table's fields by name. Values of fields are dicts, too.
Table = dict[str, Any]

FILE_IDENTIFIER = b"TFL3"


# Field number, what it is, and for numbers the default. What: `struct`'s letter of a number; a
# vector of numbers as `[letter]`; `text`; a table's name; a vector of tables as `[name]`.
_Field = tuple[int, str, Any]


def _fields(text: str) -> dict[str, _Field]:
    """`name:what` or `name:what=default` of each field from number 0 on, `-` for one that is left
    out; numbers are 0 by default."""
    found: dict[str, _Field] = {}
    for number, word in enumerate(text.split()):
        name, _, rest = word.partition(":")
        what, _, default = rest.partition("=")
        if name != "-":
            found[name] = number, what, int(default or 0) if len(what) == 1 else None
    return found


_TABLES = {
    "Model": _fields(
        "version:I operator_codes:[OperatorCode] subgraphs:[SubGraph] description:text "
        "buffers:[Buffer] metadata_buffer:[i] metadata:[Metadata] signature_defs:[SignatureDef]"
    ),
    "OperatorCode": _fields(
        "deprecated_builtin_code:b custom_code:text version:i=1 builtin_code:i"
    ),
    "SubGraph": _fields(
        "tensors:[Tensor] inputs:[i] outputs:[i] operators:[Operator] name:text "
        "debug_metadata_index:i=-1"
    ),
    "Tensor": _fields(
        "shape:[i] type:b buffer:I name:text quantization:Quantization is_variable:? - "
        "shape_signature:[i] has_rank:? variant_tensors:[VariantSubType]"
    ),
    "VariantSubType": _fields("shape:[i] type:b has_rank:?"),
    "Quantization": _fields(
        "min:[f] max:[f] scale:[f] zero_point:[q] details_type:B - quantized_dimension:i"
    ),
    "Operator": _fields(
        "opcode_index:I inputs:[i] outputs:[i] builtin_options_type:B builtin_options:Options "
        "custom_options:[B] custom_options_format:b mutating_variable_inputs:[?] intermediates:[i] "
        "- - - - debug_metadata_index:i=-1"
    ),
    "Buffer": _fields("data:[B]"),
    "Metadata": _fields("name:text buffer:I"),
    # `key` was written by converters before 2.6 and is read by nobody.
    "SignatureDef": _fields(
        "inputs:[TensorMap] outputs:[TensorMap] signature_key:text key:text subgraph_index:I"
    ),
    "TensorMap": _fields("name:text tensor_index:I"),
}
# What files of other makers may have besides: more tables.
_FOREIGN = {
    "Tensor": {**_TABLES["Tensor"], "sparsity": (6, "Sparsity", None)},
    "Sparsity": _fields("- - dim_metadata:[DimensionMetadata]"),
    "DimensionMetadata": _fields("- dense_size:i"),
}
# Options of operators, by `builtin_options_type`.
_WINDOW = "padding:b stride_w:i stride_h:i "
_OPTIONS = {
    1: _fields(_WINDOW + "fused:b dilation_w:i=1 dilation_h:i=1 quantized_bias_type:b"),
    2: _fields(_WINDOW + "depth_multiplier:i fused:b dilation_w:i=1 dilation_h:i=1"),
    5: _fields(_WINDOW + "filter_w:i filter_h:i fused:b"),
    10: _fields("axis:i fused:b"),
    11: _fields("fused:b pot_scale_int16:?=1"),
    15: _fields("height:i width:i align_corners:? half_pixel_centers:?"),
    17: _fields("new_shape:[i]"),
    21: _fields("fused:b"),
    23: _fields("axis:i batch_dims:i"),
    32: _fields(
        "begin_mask:i end_mask:i ellipsis_mask:i new_axis_mask:i shrink_axis_mask:i offset:?"
    ),
    35: _fields("num_splits:i"),
    75: _fields("alpha:f"),
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
