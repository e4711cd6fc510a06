"""The arena of TensorFlow Lite Micro, planned: nothing overlaps, and it is as large as measured."""

from __future__ import annotations

import importlib.util
import itertools
import random
from pathlib import Path

import pytest

from analysis.arena import Need, Placed, need, place, planned_bytes
from analysis.memory import Lifetime
from runtime.engines.arena import arena_bytes
from runtime.tflite_graph import Graph
from tests.conftest import Build


def _overlap(a: Placed, b: Placed) -> bool:
    at_once = a.first <= b.last and b.first <= a.last
    return at_once and a.offset < b.offset + b.bytes and b.offset < a.offset + a.bytes


def _live_peak(lives: list[Lifetime]) -> int:
    steps = range(max(life.last for life in lives) + 1)
    return max(sum(x.bytes for x in lives if x.first <= step <= x.last) for step in steps)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_overlaps(seed: int) -> None:
    rng = random.Random(seed)
    lives = []
    for i in range(60):
        first = rng.randrange(40)
        size = 16 * rng.randrange(1, 400) - rng.choice((0, 0, 3))
        lives.append(Lifetime(f"t{i}", size, first, first + rng.randrange(12)))
    placed = place(lives)
    assert sorted(p.name for p in placed) == sorted(life.name for life in lives)
    assert not any(_overlap(a, b) for a, b in itertools.combinations(placed, 2))
    assert all(p.offset % 16 == 0 for p in placed)
    assert max(p.offset + p.bytes for p in placed) >= _live_peak(lives)


def test_by_hand() -> None:
    """The largest goes to the bottom; a small one fills the gap that it leaves later."""
    lives = [Lifetime("a", 32, 0, 1), Lifetime("b", 160, 1, 2), Lifetime("c", 48, 3, 4),
             Lifetime("d", 16, 2, 4)]  # fmt: skip
    offsets = {p.name: p.offset for p in place(lives)}
    assert offsets == {"b": 0, "a": 160, "c": 0, "d": 160}


def test_gap_in_the_middle_is_used() -> None:
    lives = [Lifetime("low", 100, 0, 9), Lifetime("gone", 90, 0, 0), Lifetime("high", 80, 0, 9),
             Lifetime("late", 64, 1, 2)]  # fmt: skip
    offsets = {p.name: p.offset for p in place(lives)}
    assert offsets["late"] == offsets["gone"] == 112


def test_as_large_as_measured(build: Build) -> None:
    """A NanoDet of 96 x 64 pixels, where the tensors are small beside what is kept."""
    planned, measured = planned_bytes(Graph.read(build.tflite)), arena_bytes(build.tflite)
    assert planned == pytest.approx(measured, rel=0.01)


@pytest.mark.real
def test_of_a_file_of_others(data: Path) -> None:
    (path,) = data.glob("**/nxp_mpp_nanodet_m_0.5x_nhwc_nopermute.tflite")
    assert planned_bytes(Graph.read(path)) == pytest.approx(arena_bytes(path), rel=0.002)


def test_without_the_package(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned, and said; with it, measured."""
    assert need(build.tflite) == Need(arena_bytes(build.tflite), measured=True)
    spec = importlib.util.find_spec
    hidden = lambda name, *more: None if name == "tflite_micro" else spec(name, *more)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    found = need(build.tflite)
    assert not found.measured and "tflite-micro" in found.how
    assert found.bytes == planned_bytes(Graph.read(build.tflite))
