"""Small networks that hold a layer of every kind, and what they answer, by plain loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from firmware.engine.layers import Channels, Layer, Network, Value
from quantize.fixed_point import multiply, quantize_multiplier

_APART = ("add", "gate", "decode")  # Kinds whose sources are no concatenation.


@dataclass
class _Maker:
    rng: np.random.Generator
    active: bool
    values: list[Value]
    layers: list[Layer] = field(default_factory=list)

    def add(
        self,
        kind: str,
        channels: int,
        sources: Sequence[int],
        kernel: int = 1,
        stride: int = 1,
        repeats: bool = False,
    ) -> int:
        """A layer that reads all channels of these values, or of two by themselves. The number of
        the value that it writes."""
        taken = [self.values[s] for s in sources]
        sides = taken[0].height, taken[0].width
        out = [2 * s if kind == "resize" else -(-s // stride) for s in sides]
        if kind == "mean":
            kernel, out = sides[0], [1, 1]
        if kind == "average":
            out = [s // stride for s in sides]
        before = [0, 0]
        if kind in ("conv", "depthwise"):
            before = [
                max((o - 1) * stride + kernel - s, 0) // 2 for o, s in zip(out, sides, strict=True)
            ]
        apart: tuple[Channels, ...] = tuple(
            tuple((s, c) for c in range(v.channels)) for s, v in zip(sources, taken, strict=True)
        )
        joined: Channels = tuple(channel for one in apart for channel in one)
        shape: tuple[int, ...] = (channels, kernel, kernel, len(joined))
        if kind == "depthwise":
            shape = (kernel, kernel, channels)
        weighs, rng = kind in ("conv", "stem", "depthwise"), self.rng
        scale = taken[0].scale if kind == "gate" else 2.0 ** rng.uniform(-5, -2)
        self.values.append(Value(out[0], out[1], channels, scale, int(rng.integers(-20, 20))))
        activated = self.active and (weighs or kind in ("max", "add"))
        self.layers.append(
            Layer(
                "level 0" if kind == "decode" else f"{kind} {len(self.layers)}",
                kind, apart if kind in _APART else (joined,), len(self.values) - 1,
                kernel, stride, before[0], before[1], repeats,
                weight=rng.integers(-127, 128, shape).astype(np.int8) if weighs else None,
                bias=rng.integers(-999, 999, channels).astype(np.int32) if weighs else None,
                weight_scales=2.0 ** rng.uniform(-9, -7, channels),
                scales=tuple(v.scale for v in taken),
                zero_points=tuple(v.zero_point for v in taken),
                activation=rng.integers(-128, 128, 256).astype(np.int8) if activated else None,
            )
        )  # fmt: skip
        return len(self.values) - 1


def small_network(height: int, width: int, channels: int, active: bool = True) -> Network:
    """Of an image of so many pixels, a multiple of 4. channels: of most layers."""
    made = _Maker(np.random.default_rng(width), active, [Value(height, width, 3, 0.1, -3)])
    stem = made.add("stem", channels, [0], 3, 2)
    pooled = made.add("max", channels, [stem], 3, 2)
    one = made.add("depthwise", channels, [pooled], 3)
    other = made.add("conv", channels + 1, [pooled])
    both = made.add("conv", channels, [one, other])
    five = made.add("depthwise", channels, [both], 5)
    half = made.add("depthwise", channels, [five], 3, 2)
    quarter = made.add("depthwise", channels, [half], 5, 2)
    mean = made.add("average", channels, [made.add("resize", channels, [half])], 2, 2)
    summed = made.add("add", channels, [half, mean])
    whole = made.add("resize", channels, [made.add("resize", channels, [summed])])
    summed = made.add("average", channels, [whole], 4, 4)
    again = made.add("depthwise", channels, [summed], 3, repeats=True)
    four = made.add("depthwise", channels, [again], 4, repeats=True)
    square = made.add("conv", channels, [made.add("conv", channels + 3, [four, again], 3)], 2, 2)
    gate = made.add("conv", channels, [made.add("mean", channels, [square])])
    gated = made.add("gate", channels, [square, gate])
    end = made.add("resize", channels, [gated])
    also = made.add("resize", channels, [quarter])
    made.add(
        "decode", 0, [made.add("conv", 6, [end, also]), made.add("add", channels, [end, also])]
    )
    return Network(tuple(made.values), tuple(made.layers))


def answer(network: Network, image: np.ndarray) -> dict[int, np.ndarray]:
    """int8 (H, W, C) of every value, as TensorFlow Lite's reference kernels compute them."""
    found: dict[int, np.ndarray] = {0: image}
    for layer in network.layers:
        if layer.kind == "decode":
            continue
        sources = [np.stack([found[v][..., c] for v, c in s], -1) for s in layer.sources]
        target = network.values[layer.value]
        made = np.clip(_KINDS[layer.kind](layer, target, sources), -128, 127).astype(np.int8)
        table = layer.activation
        found[layer.value] = made if table is None else table[made.astype(int) + 128]
    return found


def _weighted(layer: Layer, target: Value, sources: Sequence[np.ndarray]) -> np.ndarray:
    assert layer.weight is not None and layer.bias is not None and layer.weight_scales is not None
    values = sources[0].astype(np.int64) - layer.zero_points[0]
    kernel, stride = layer.kernel, layer.stride
    around = (layer.above, kernel + 1), (layer.left, kernel + 1), (0, 0)
    values = np.pad(values, around, "edge" if layer.repeats else "constant")
    sums = np.zeros((target.height, target.width, target.channels), np.int64) + layer.bias
    for y in range(kernel):
        for x in range(kernel):
            rows = slice(y, y + stride * target.height, stride)
            part = values[rows, x : x + stride * target.width : stride]
            if layer.kind == "depthwise":
                sums += part * layer.weight[y, x].astype(np.int64)
            else:
                sums += part @ layer.weight[:, y, x].T.astype(np.int64)
    rules = [quantize_multiplier(layer.scales[0] * s / target.scale) for s in layer.weight_scales]
    made = [multiply(sums[..., c], *rule) for c, rule in enumerate(rules)]
    return np.stack(made, -1) + target.zero_point


def _add(layer: Layer, target: Value, sources: Sequence[np.ndarray]) -> np.ndarray:
    most = 2 * max(layer.scales)
    total = sum(
        multiply((values.astype(np.int64) - zero) << 20, *quantize_multiplier(scale / most))
        for values, scale, zero in zip(sources, layer.scales, layer.zero_points, strict=True)
    )
    rule = quantize_multiplier(most / ((1 << 20) * target.scale))
    return multiply(np.asarray(total), *rule) + target.zero_point


def _gate(layer: Layer, target: Value, sources: Sequence[np.ndarray]) -> np.ndarray:
    one, other = (
        values.astype(np.int64) - zero
        for values, zero in zip(sources, layer.zero_points, strict=True)
    )
    rule = quantize_multiplier(layer.scales[0] * layer.scales[1] / target.scale)
    return multiply(one * other, *rule) + target.zero_point


def _mean(layer: Layer, target: Value, sources: Sequence[np.ndarray]) -> np.ndarray:
    return _rounded(sources[0].astype(float).mean((0, 1), keepdims=True))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Ties away from zero."""
    return np.sign(values) * np.floor(np.abs(values) + 0.5)


def _resize(layer: Layer, target: Value, sources: Sequence[np.ndarray]) -> np.ndarray:
    (values,) = sources
    for axis, size in enumerate((target.height, target.width)):
        at = np.maximum((np.arange(size) + 0.5) / 2 - 0.5, 0)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        share = np.expand_dims(at - low, tuple(a for a in range(3) if a != axis))
        values = np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share
    return _rounded(values)


def _average(layer: Layer, target: Value, sources: Sequence[np.ndarray]) -> np.ndarray:
    side, shape = layer.kernel, (target.height, target.width)
    cut = sources[0][: shape[0] * side, : shape[1] * side].astype(float)
    return _rounded(cut.reshape(shape[0], side, shape[1], side, -1).mean((1, 3)))


def _max(layer: Layer, target: Value, sources: Sequence[np.ndarray]) -> np.ndarray:
    values = np.pad(sources[0], ((0, 3), (0, 3), (0, 0)), constant_values=-128)
    parts = [
        values[y : y + 2 * target.height : 2, x : x + 2 * target.width : 2]
        for y in range(3)
        for x in range(3)
    ]
    return np.max(parts, 0)


_KINDS: Mapping[str, Callable[[Layer, Value, Sequence[np.ndarray]], np.ndarray]] = {
    "conv": _weighted, "stem": _weighted, "depthwise": _weighted, "add": _add, "resize": _resize,
    "average": _average, "max": _max, "mean": _mean, "gate": _gate,
}  # fmt: skip
