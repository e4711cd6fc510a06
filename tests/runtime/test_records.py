"""Parsed values as dataclasses: what fits, and one line that names the key of what does not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from runtime.errors import KitError
from runtime.records import read_record, read_value


@dataclass(frozen=True)
class Inner:
    size: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise KitError("size: must not be negative")


@dataclass(frozen=True)
class Outer:
    name: str
    scale: float = 1.0
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    texts: dict[str, str] = field(default_factory=dict)
    by_name: dict[str, Inner] = field(default_factory=dict)


def test_everything_at_once() -> None:
    values = {
        "name": "a", "scale": 2, "inner": {"size": 1}, "many": [{"size": 2}, {"size": 3}],
        "pair": [4, 5.5], "texts": {"k": "v"}, "by_name": {"x": {"size": 6}},
    }  # fmt: skip
    found = read_record(Outer, values, "f")
    assert found == Outer(
        "a", 2.0, Inner(1), (Inner(2), Inner(3)), (4.0, 5.5), {"k": "v"}, {"x": Inner(6)}
    )
    assert isinstance(found.scale, float)
    assert read_record(Outer, {"name": "a"}, "f") == Outer("a")


@pytest.mark.parametrize(
    ("values", "message", "reason"),
    [
        ([], "f: expected a mapping, got list", "no mapping"),
        ({}, "f: missing key `name`", "without a default"),
        ({"name": "a", "nam": 1}, "f: unknown key `nam`; known: name, scale, ", "misspelt"),
        ({"name": "a", 7: 1}, "f: unknown key `7`", "a key that is no text"),
        ({"name": True}, "f: name: expected str, got True; write it in quotes", "YAML's `yes`"),
        ({"name": "a", "scale": True}, "f: scale: expected float, got True", "no number"),
        ({"name": "a", "scale": math.nan}, "f: scale: nan is not finite", "YAML's `.nan`"),
        ({"name": "a", "scale": 10**400}, "f: scale: .* is too large", "no float holds it"),
        ({"name": "a", "inner": {"size": 1.5}}, "f: inner: size: expected int, got 1.5", "nested"),
        ({"name": "a", "inner": {"size": -1}}, "f: inner: size: must not be neg", "its own check"),
        ({"name": "a", "many": {}}, "f: many: expected a list, got {}", "no list"),
        ({"name": "a", "pair": [1]}, r"f: pair: expected 2 values, got \[1\]", "too short"),
        ({"name": "a", "texts": [1]}, r"f: texts: expected a mapping, got \[1\]", "no mapping"),
        ({"name": "a", "texts": {1: "v"}}, "f: texts: expected str, got 1", "a number for a key"),
        ({"name": "a", "texts": {"k": 1}}, "f: texts.k: expected str, got 1", "no text"),
        ({"name": "a", "by_name": {"x": {}}}, "f: by_name.x: missing key `size`", "deep inside"),
    ],
)
def test_what_does_not_fit(values: Any, message: str, reason: str) -> None:
    with pytest.raises(KitError, match=f"^{message}"):
        read_record(Outer, values, "f")


def test_long_values_are_shortened() -> None:
    with pytest.raises(KitError) as error:
        read_value(int, "x" * 10_000, "f")
    assert len(str(error.value)) < 100
