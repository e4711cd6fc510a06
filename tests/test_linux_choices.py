"""benchmarks.linux_choices: the frontiers."""

from __future__ import annotations

import pytest

from benchmarks.linux_choices import frontier
from pipeline.linux_budget import LinuxChoice


def choice(ap: float, npu_ms: float, sram_bytes: int) -> LinuxChoice:
    return LinuxChoice("m", 320, "32", ap, True, {"imx93": npu_ms, "imx8mp": 1.0}, sram_bytes)


@pytest.mark.parametrize(
    ("others", "there", "reason"),
    [
        ([choice(8, 3.0, 100)], True, "the other finds less"),
        ([choice(10, 1.9, 100)], False, "the other finds as much, and sooner"),
        ([choice(11, 1.9, 101)], True, "the other takes more memory"),
        ([choice(11, 2.1, 99)], True, "the other takes more time"),
        ([choice(11, 2.0, 100)], False, "the other finds more at the same costs"),
        ([choice(10, 2.0, 100)], True, "equals"),
        ([choice(11, 2.1, 90), choice(9, 1.0, 90)], True, "no single one beats it"),
    ],
)
def test_frontier(others: list[LinuxChoice], there: bool, reason: str) -> None:
    own = choice(10, 2.0, 100)
    found = frontier([own, *others], "imx93", lambda c: (c.latency_ms["imx93"], c.sram_bytes))
    assert (own in found) == there, reason
    assert found == sorted(found, key=lambda c: c.latency_ms["imx93"])
