"""Damaged inputs, the same for the same seed: of bytes, of parsed YAML or JSON, of TFLite files."""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from quantize import flatbuffer
from runtime.spec import METADATA_NAME
from runtime.tflite_graph import text, unpack

_NUMBERS = (0, 1, -1, 2, 3, 7, 127, 128, -128, 255, 256, 65535, 1 << 20, 2**31 - 1, -(2**31), 2**32)
_ODD: tuple[Any, ...] = (
    None, True, False, "", "x", "ä\u2028\N{SNOWMAN}", "../../etc/passwd", [], {}, [[]], [None],
    {"a": {"b": []}}, 1.5, -0.0, 1e308, float("nan"), float("inf"), 10**30, -(10**400), *_NUMBERS,
)  # fmt: skip
_DEPTH = 400  # Of nesting: parsers recurse.

BytesMutation = Callable[[bytearray, random.Random], None]


def _place(content: bytearray, rng: random.Random) -> slice:
    """A run of bytes, mostly short."""
    start = rng.randrange(len(content) + 1)
    return slice(start, start + int(2 ** rng.uniform(0, 12)))


def flip_bits(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def overwrite(content: bytearray, rng: random.Random) -> None:
    run = _place(content, rng)
    content[run] = rng.randbytes(len(content[run]))


def fill(content: bytearray, rng: random.Random) -> None:
    run = _place(content, rng)
    content[run] = bytes([rng.choice((0, 0, 0x7F, 0x80, 0xFF))]) * len(content[run])


def truncate(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


def extend(content: bytearray, rng: random.Random) -> None:
    content += rng.randbytes(rng.randint(1, 4096))


def drop(content: bytearray, rng: random.Random) -> None:
    del content[_place(content, rng)]


def duplicate(content: bytearray, rng: random.Random) -> None:
    run = _place(content, rng)
    content[run.start : run.start] = content[run]


def splice(content: bytearray, rng: random.Random) -> None:
    """One run in the place of another."""
    content[_place(content, rng)] = content[_place(content, rng)]


def set_integer(content: bytearray, rng: random.Random) -> None:
    """A little- or big-endian integer field at its extremes."""
    layout = rng.choice(("<I", ">I", "<H", ">H", "<Q", "B"))
    size = struct.calcsize(layout)
    start = rng.randrange(max(1, len(content) - size)) // size * size
    number = rng.choice(_NUMBERS) % (1 << 8 * size)
    content[start : start + size] = struct.pack(layout, number)


BYTE_MUTATIONS: tuple[BytesMutation, ...] = (
    flip_bits, overwrite, fill, truncate, extend, drop, duplicate, splice, set_integer,
)  # fmt: skip


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """One to three mutations anywhere."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        rng.choice(BYTE_MUTATIONS)(changed, rng)
        if not changed:
            return b""
    return bytes(changed)


def mutate_tree(tree: Any, rng: random.Random) -> Any:
    """One to three changes of a parsed YAML or JSON document: values, keys, lists, nesting."""
    holder = [copy.deepcopy(tree)]
    for _ in range(rng.randint(1, 3)):
        parent, key = rng.choice(_places(holder))
        _change(parent, key, rng)
        if not holder:
            return None
    return holder[0]


def _places(node: Any, levels: int = 30) -> list[tuple[Any, Any]]:
    """(container, key) of every value below `node`, so many levels deep."""
    if not levels:
        return []
    if isinstance(node, dict):
        items: list[tuple[Any, Any]] = list(node.items())
    else:
        items = list(enumerate(node)) if isinstance(node, list) else []
    return [place for key, value in items for place in ((node, key), *_places(value, levels - 1))]


def _change(parent: Any, key: Any, rng: random.Random) -> None:
    what, value = rng.randrange(6), parent[key]
    if what == 0:
        del parent[key]
    elif what == 1 and isinstance(parent, dict):
        parent[rng.choice(("x", 1, str(key) + "s"))] = parent.pop(key)
    elif what == 2 and isinstance(value, list):
        parent[key] = value * rng.choice((2, 1000)) if len(value) < 1000 else value[:1]
    elif what == 3:
        for _ in range(rng.choice((1, 2, _DEPTH))):
            value = [value]
        parent[key] = value
    elif what == 4 and isinstance(value, (int, float)) and not isinstance(value, bool):
        parent[key] = rng.choice(_NUMBERS) if rng.random() < 0.5 else value * rng.choice((-1, 2))
    else:
        parent[key] = copy.deepcopy(rng.choice(_ODD))


def mutate_tflite(content: bytes, rng: random.Random) -> bytes:
    """Of a TFLite file: bytes anywhere, bytes of its structure, or fields with the rest whole."""
    way = rng.randrange(3)
    if way == 0:
        return mutate_bytes(content, rng)
    if way == 1:
        return _mutate_structure(content, rng)
    return _mutate_fields(content, rng)


def _mutate_structure(content: bytes, rng: random.Random) -> bytes:
    """Offsets, tables and small vectors: nine tenths of a file are weights, and left alone."""
    weights = [
        (start, start + len(data))
        for buffer in unpack(content).buffers
        if buffer.data is not None and len(data := bytes(buffer.data)) > 256
        and (start := content.find(data)) >= 0
    ]  # fmt: skip
    inside = np.zeros(len(content), bool)
    for start, end in weights:
        inside[start:end] = True
    places = np.flatnonzero(~inside)
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        start = int(places[rng.randrange(len(places))])
        if rng.random() < 0.5:
            changed[start] ^= 1 << rng.randrange(8)
        else:
            word = start & ~3
            changed[word : word + 4] = struct.pack("<I", rng.choice(_NUMBERS) % (1 << 32))
    return bytes(changed)


def _mutate_fields(content: bytes, rng: random.Random) -> bytes:
    """The file is built anew, so that only what the fields mean is wrong."""
    while True:
        model = unpack(content)
        for _ in range(rng.choice((1, 1, 2))):
            _change_field(model, rng)
        try:
            return flatbuffer.serialize(model)
        except (struct.error, TypeError, ValueError, AttributeError, OverflowError):
            continue  # Does not fit the field's type.


def _change_field(model: Any, rng: random.Random) -> None:
    kinds: dict[str, list[tuple[Any, str]]] = {}
    for holder, name in _fields(model):
        kinds.setdefault(f"{type(holder).__name__}.{name}", []).append((holder, name))
    holder, name = rng.choice(kinds[rng.choice(sorted(kinds))])
    value = getattr(holder, name)
    if isinstance(value, (bool, int, float)):
        near = rng.random() < 0.4
        setattr(holder, name, value + rng.choice((-1, 1)) if near else rng.choice(_NUMBERS))
    elif isinstance(value, (list, np.ndarray)) and len(value):
        setattr(holder, name, _change_list(list(value), rng))
    elif rng.random() < 0.2:
        setattr(holder, name, None)


def _change_list(values: list[Any], rng: random.Random) -> Any:
    what, i = rng.randrange(5), rng.randrange(len(values))
    if what == 0:
        del values[i]
    elif what == 1:
        values.insert(i, values[rng.randrange(len(values))])
    elif what == 2:
        j = rng.randrange(len(values))
        values[i], values[j] = values[j], values[i]
    elif isinstance(values[i], (int, float, np.number)):
        near = int(values[i]) + rng.choice((-1, 1)) if rng.random() < 0.4 else None
        values[i] = rng.choice(_NUMBERS) if near is None else near
        if what == 3:
            return [type(values[i])(v) for v in values]
    return values


def _fields(node: Any) -> list[tuple[Any, str]]:
    """(object, attribute) of all below `node`."""
    found = []
    for name, value in vars(node).items():
        found.append((node, name))
        children = value if isinstance(value, list) else [value]
        for child in children:
            if hasattr(child, "Pack"):
                found += _fields(child)
    return found


def with_spec(content: bytes, spec: bytes) -> bytes:
    """The file with another embedded model spec."""
    model = unpack(content)
    entry = next(m for m in model.metadata if text(m.name) == METADATA_NAME)
    model.buffers[entry.buffer].data = np.frombuffer(spec, np.uint8)
    return flatbuffer.serialize(model)
