"""Parsed YAML or JSON -> frozen dataclasses, each key and value checked against the fields."""

from __future__ import annotations

import dataclasses
import math
import reprlib
import typing
from typing import Any, TypeVar

from .errors import KitError

_T = TypeVar("_T")


def read_record(cls: type[_T], values: Any, where: str) -> _T:
    """The dataclass `cls` from a mapping of its fields. where: stands in front of errors.

    Raises `KitError` naming the key at fault, also for what `cls` itself refuses.
    """
    if not isinstance(values, dict):
        raise KitError(f"{where}: expected a mapping, got {type(values).__name__}")
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, cls))}
    for name in sorted(map(str, values)):
        if name not in fields:
            raise KitError(f"{where}: unknown key `{name}`; known: {', '.join(fields)}")
    for name, field in fields.items():
        if name not in values and field.default is field.default_factory is dataclasses.MISSING:
            raise KitError(f"{where}: missing key `{name}`")
    hints = typing.get_type_hints(cls)
    given = {name: read_value(hints[name], v, f"{where}: {name}") for name, v in values.items()}
    try:
        return cls(**given)
    except KitError as error:
        raise KitError(f"{where}: {error}") from None


def read_value(hint: Any, value: Any, where: str) -> Any:
    """A value of the type `hint`: a finite number, text, truth value, tuple, mapping or dataclass.

    A whole number may stand for a float, None for what is optional. Raises `KitError`.
    """
    origin, kinds = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _read_list(kinds, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise KitError(f"{where}: expected a mapping, got {reprlib.repr(value)}")
        return {
            read_value(kinds[0], k, where): read_value(kinds[1], v, f"{where}.{k}")
            for k, v in value.items()
        }
    if kinds:  # Optional
        return None if value is None else read_value(kinds[0], value, where)
    if dataclasses.is_dataclass(hint):
        return read_record(typing.cast(Any, hint), value, where)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value, where)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        quotes = "; write it in quotes" if hint is str else ""
        raise KitError(f"{where}: expected {hint.__name__}, got {reprlib.repr(value)}{quotes}")
    return value


def _finite(value: float, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise KitError(f"{where}: {reprlib.repr(value)} is too large") from None
    if not math.isfinite(number):
        raise KitError(f"{where}: {number} is not finite")
    return number


def _read_list(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    """kinds: of the entries; with an ellipsis behind the first, any number of that."""
    if not isinstance(value, (list, tuple)):
        raise KitError(f"{where}: expected a list, got {reprlib.repr(value)}")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise KitError(f"{where}: expected {len(kinds)} values, got {reprlib.repr(value)}")
    return tuple(read_value(kind, entry, where) for kind, entry in zip(kinds, value))
