"""How large an arena TensorFlow Lite Micro needs: measured where its package is, else planned.

The package `tflite-micro` has builds for Linux on x86-64 alone.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from analysis.memory import Lifetime, lifetimes
from runtime.engines.arena import arena_bytes
from runtime.tflite_graph import Graph

_ALIGNMENT = 16
# What TFLite Micro keeps beside the tensors, in bytes on a 64-bit PC: for each tensor, constants
# included, each operator, and each channel of a convolution, a multiplier and a shift. Fitted to
# `arena_bytes` of files of this kit and of others; tests/analysis/test_arena.py measures the error.
_TENSOR_BYTES = 24
_OPERATOR_BYTES = 80
_CONVOLUTION_BYTES = 213
_CHANNEL_BYTES = 8


@dataclass(frozen=True)
class Placed:
    """A tensor in the arena: bytes from `offset` on, from operator `first` to `last`."""

    name: str
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Need:
    """What a file takes. measured: by TFLite Micro on this machine; else planned from the file."""

    bytes: int
    measured: bool

    @property
    def how(self) -> str:
        """For people, after a number of bytes."""
        if self.measured:
            return "measured by TFLite Micro on this machine"
        return "planned by the kit, for package tflite-micro, which measures it, is not installed"


def need(path: Path) -> Need:
    """Raises `KitError` where TFLite Micro is asked and cannot run the file."""
    if importlib.util.find_spec("tflite_micro") is None:
        return Need(planned_bytes(Graph.read(path)), measured=False)
    return Need(arena_bytes(path), measured=True)


def planned_bytes(graph: Graph) -> int:
    """What `arena_bytes` measures on x86-64, within 0.2 % for a NanoDet and 3 % for other files."""
    tensors = max((p.offset + p.bytes for p in place(lifetimes(graph))), default=0)
    convolutions = graph.named("CONV_2D") + graph.named("DEPTHWISE_CONV_2D")
    channels = sum(op.output.shape[-1] for op in convolutions if op.output and op.output.shape)
    others = len(graph.operators) - len(convolutions)
    kept = len(graph.tensors) * _TENSOR_BYTES + channels * _CHANNEL_BYTES
    kept += others * _OPERATOR_BYTES + len(convolutions) * _CONVOLUTION_BYTES
    return _aligned(tensors) + _aligned(kept)


def place(lives: Iterable[Lifetime]) -> tuple[Placed, ...]:
    """An offset for each tensor, in order of the first operators.

    As TFLite Micro's greedy planner does it: the largest first, each at the lowest offset where
    nothing lies that is needed at the same time.
    """
    placed: list[Placed] = []
    for life in sorted(lives, key=lambda life: (-life.bytes, life.first, life.name)):
        offset = 0
        for other in sorted(placed, key=lambda p: p.offset):
            if other.last < life.first or life.last < other.first:
                continue
            if offset + life.bytes <= other.offset:
                break
            offset = max(offset, _aligned(other.offset + other.bytes))
        placed.append(Placed(life.name, offset, life.bytes, life.first, life.last))
    return tuple(sorted(placed, key=lambda p: (p.first, p.offset)))


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
