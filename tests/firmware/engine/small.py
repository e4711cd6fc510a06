"""A small network that holds a layer of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from firmware.engine.layers import Layer, Network, Value
from firmware.engine.plan import Plan, make_plan


@dataclass
class _Maker:
    rng: np.random.Generator
    values: list[Value]
    layers: list[Layer] = field(default_factory=list)

    def add(self, kind: str, sides: int, channels: int, sources: Sequence[int], **more: int) -> int:
        """A layer of square maps that reads all channels of these values. The value's number."""
        kernel, taken = more.get("kernel", 1), [self.values[s] for s in sources]
        inputs = sum(v.channels for v in taken)
        shape = (channels, kernel, kernel, inputs) if kind == "conv" else (kernel, kernel, channels)
        weighs, rng = kind in ("conv", "depthwise"), self.rng
        joined = tuple(
            (s, c) for s, v in zip(sources, taken, strict=True) for c in range(v.channels)
        )
        apart = tuple(tuple((s, c) for c in range(self.values[s].channels)) for s in sources)
        self.values.append(Value(sides, sides, channels, 0.1, 3))
        self.layers.append(
            Layer(
                f"{kind} {len(self.layers)}" if kind != "decode" else "level 0",
                kind, apart if kind in ("add", "decode") else (joined,), len(self.values) - 1,
                weight=rng.integers(-127, 128, shape).astype(np.int8) if weighs else None,
                bias=rng.integers(-999, 999, channels).astype(np.int32) if weighs else None,
                weight_scales=np.full(1, 0.01), scales=tuple(v.scale for v in taken),
                zero_points=tuple(v.zero_point for v in taken),
                activation=None if kind in ("add", "decode", "resize", "average")
                else rng.integers(-128, 128, 256).astype(np.int8), **more,
            )
        )  # fmt: skip
        return len(self.values) - 1


def small_plan() -> Plan:
    """Of an image of 16x16."""
    made = _Maker(np.random.default_rng(0), [Value(16, 16, 3, 0.1, -3)])
    stem = made.add("conv", 8, 4, [0], kernel=3, stride=2)
    pooled = made.add("max", 4, 4, [stem], kernel=3, stride=2)
    one = made.add("depthwise", 4, 4, [pooled], kernel=3, above=1, left=1)
    other = made.add("conv", 4, 5, [pooled])
    both = made.add("conv", 4, 4, [one, other])
    five = made.add("depthwise", 4, 4, [both], kernel=5, above=2, left=2)
    half = made.add("depthwise", 2, 4, [five], kernel=3, stride=2)
    large = made.add("resize", 4, 4, [half])
    summed = made.add("add", 4, 4, [large, both])
    mean = made.add("average", 2, 4, [summed], kernel=2, stride=2)
    cls, reg = made.add("conv", 2, 6, [mean]), made.add("conv", 2, 8, [mean])
    made.add("decode", 2, 0, [cls, reg])
    return make_plan(Network(tuple(made.values), tuple(made.layers)))
