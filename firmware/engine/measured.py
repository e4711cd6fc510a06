"""Which form of each convolution a board found faster: the lines that `app/benchmark.c` sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.engine.layers import CONVOLUTIONS, Layer, Network
from firmware.engine.turns import FORMS
from runtime.errors import KitError
from runtime.records import read_record

_MOST_BYTES = 1 << 26
_HOW = "--measured takes what `./nanodet monitor --record` keeps of this model's benchmark"


@dataclass(frozen=True)
class Measured:
    """forms: pixels of a turn, by a layer's number. frames: that were measured."""

    forms: Mapping[int, int]
    frames: int


@dataclass(frozen=True)
class _Layer:
    """cycles: in the form that the board had. forms: in each of `FORMS`, of convolutions."""

    kind: str
    kernel: int
    stride: int
    height: int
    width: int
    cycles: int
    forms: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Frame:
    frame: int
    arena_used: int
    cycles: dict[str, int]
    model: str
    detections: tuple[str, ...]
    layers: tuple[_Layer, ...]


def read_measured(path: Path, network: Network, sha256: str) -> Measured:
    """The fastest of all frames counts: interrupts and cold caches only add cycles.

    sha256: of the model's file. Raises `KitError` for what was not measured with this network.
    """
    frames = [_parsed(line, where) for where, line in _lines(path)]
    if not frames:
        raise KitError(f"{path}: no frame is in there; {_HOW}")
    least: dict[int, tuple[int, ...]] = {}
    for number, frame in enumerate(frames):
        _check(frame, network, sha256, f"{path}: frame {number + 1}")
        for place, layer in enumerate(frame.layers):
            if layer.forms:
                before = least.get(place, layer.forms)
                least[place] = tuple(map(min, before, layer.forms))
    forms = {place: FORMS[cycles.index(min(cycles))] for place, cycles in least.items()}
    return Measured(forms, len(frames))


def _lines(path: Path) -> list[tuple[str, str]]:
    """Each line that says something, and how errors name it."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise KitError(f"{path}: more than {_MOST_BYTES:,} bytes; {_HOW}")
        lines = content.decode().splitlines()
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise KitError(f"{path}: is no text; {_HOW}") from None
    return [(f"{path}: line {n}", line) for n, line in enumerate(lines, 1) if line.strip()]


def _parsed(line: str, where: str) -> _Frame:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise KitError(f"{where}: is not JSON; {_HOW}") from None
    return read_record(_Frame, values, where)


def _check(frame: _Frame, network: Network, sha256: str, where: str) -> None:
    if frame.model != sha256:
        raise KitError(f"{where}: measured with model {frame.model!r:.66}, not {sha256}; {_HOW}")
    if len(frame.layers) != len(network.layers):
        count = len(network.layers)
        raise KitError(f"{where}: {len(frame.layers)} layers, but the model has {count}; {_HOW}")
    for found, layer in zip(frame.layers, network.layers, strict=True):
        if (found.kind, found.kernel, found.stride, found.height, found.width) != _told(
            layer, network
        ):
            raise KitError(f"{where}: {layer.name} is another layer there; {_HOW}")
        wanted = len(FORMS) if layer.kind in CONVOLUTIONS else 0
        if len(found.forms) != wanted or min(found.forms, default=1) <= 0:
            raise KitError(f"{where}: {layer.name}: wants {wanted} counts of cycles; {_HOW}")


def _told(layer: Layer, network: Network) -> tuple[object, ...]:
    """What the benchmark says of a layer."""
    target = network.values[layer.value]
    return layer.kind, layer.kernel, layer.stride, target.height, target.width
