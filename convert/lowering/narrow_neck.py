"""NanoDet-m's neck at the resolution that is read, where stride 8 is not.

Lateral 1x1 convolutions, doubling U (bilinear, half-pixel), halving D (2x2 mean) and what follows
from them are linear, and those that resize act alike on every channel; so they commute with the
1x1 convolutions. With B = D after U, a separable 3x3 filter [1 6 1]/8 with replicated border:

    finest stride 16:  P16 = (I + B)(L16 C16 + U L32 C32) + L8 D C8,  P32 = L32 C32 + D P16
    stride 32 alone:   P32 = (I + B + D B U) L32 C32 + D (I + B) L16 C16 + D D L8 C8

Filters run before the 1x1 convolutions, which then are one over the concatenation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import fx, nn

from convert.lowering.base import Lowered, editable, finish, record_shapes, source

_SMOOTH = torch.tensor([1.0, 6.0, 1.0]).double() / 8  # B along one axis.
_ROUND_TRIP = torch.tensor([5.0, 22.0, 5.0]).double() / 32  # D B U along one axis.
_KEEP = torch.tensor([0.0, 1.0, 0.0]).double()
_HALF_SMOOTH = torch.tensor([1.0, 7.0, 7.0, 1.0]).double() / 16  # D B along one axis.
_HALF = torch.tensor([0.0, 1.0, 1.0, 0.0]).double() / 2  # D along one axis.


def apply(model: Lowered) -> Lowered:
    """The neck's levels that the heads read, computed at their own resolution."""
    strides, architecture = model.spec.graph.strides, model.spec.architecture
    known = architecture.neck == "pan" and architecture.strides == (8, 16, 32)
    if not known or strides[0] == 8:
        return model
    module = editable(model)
    neck = _Neck(module, record_shapes(module, model.example_input()))
    levels = {16: neck.level_16, 32: neck.level_32}
    all_strides = model.spec.architecture.strides
    for stride in strides:
        first = neck.node(f"head.cls_convs.{all_strides.index(stride)}.")
        with module.graph.inserting_before(first):
            first.replace_input_with(source(first), levels[stride]())
    return finish(module, model)


class _Neck:
    """Builds nodes where the graph inserts."""

    def __init__(self, module: fx.GraphModule, shapes: dict[fx.Node, torch.Size]) -> None:
        self._module = module
        laterals = [self.node(f"fpn.lateral_convs.{i}.") for i in range(3)]
        self._convs: list[nn.Conv2d] = [module.get_submodule(str(n.target)) for n in laterals]  # type: ignore[misc]
        self._features = [source(node) for node in laterals]
        self._sizes = [shapes[node][2:] for node in laterals]
        self._lateral_32 = laterals[2]
        self._p16: fx.Node | None = None

    def node(self, prefix: str) -> fx.Node:
        """The first node that calls a module of that name."""
        return next(n for n in self._module.graph.nodes if str(n.target).startswith(prefix))

    def level_16(self) -> fx.Node:
        c8, c16, _ = self._features
        kernel = _square(_KEEP) + _square(_SMOOTH)
        size = self._sizes[1]
        smooth = self._filter("neck_c16", c16, self._convs[1].in_channels, size, kernel)
        own = self._join("neck_16", [smooth, self._mean(c8, 2)], [(1, 2.0), (0, 1.0)])
        doubled = self._call(F.interpolate, self._lateral_32, scale_factor=2.0, mode="bilinear")
        channels = self._convs[2].out_channels
        above = self._filter("neck_c32", doubled, channels, size, kernel)
        self._p16 = self._call(torch.add, own, above)
        return self._p16

    def level_32(self) -> fx.Node:
        if self._p16 is not None:
            return self._call(torch.add, self._lateral_32, self._mean(self._p16, 2))
        c8, c16, c32 = self._features
        one = _square(_KEEP) + _square(_SMOOTH) + _square(_ROUND_TRIP)
        two = _square(_HALF) + _square(_HALF_SMOOTH)
        channels = [conv.in_channels for conv in self._convs]
        filtered = [
            self._filter("neck_c32", c32, channels[2], self._sizes[2], one),
            self._filter("neck_c16", c16, channels[1], self._sizes[1], two, stride=2),
            self._mean(c8, 4),
        ]
        return self._join("neck_32", filtered, [(2, 3.0), (1, 2.0), (0, 1.0)])

    def _join(self, name: str, parts: list[fx.Node], terms: list[tuple[int, float]]) -> fx.Node:
        """The sum of lateral convolutions of `parts`; terms: which, and what its filter makes of
        a constant."""
        convs = [self._convs[i] for i, _ in terms]
        joined = nn.Conv2d(sum(c.in_channels for c in convs), convs[0].out_channels, 1)
        joined.weight.data = torch.cat([conv.weight.data for conv in convs], 1)
        biases = [gain * self._convs[i].bias.data for i, gain in terms]  # type: ignore[union-attr]
        joined.bias = nn.Parameter(torch.stack(biases).sum(0))
        return self._layer(name, joined, self._call(torch.cat, parts, 1))

    def _filter(
        self,
        name: str,
        x: fx.Node,
        channels: int,
        size: torch.Size,
        kernel: torch.Tensor,
        stride: int = 1,
    ) -> fx.Node:
        """One kernel on every channel, with replicated border, as a depthwise convolution."""
        conv = nn.Conv2d(channels, channels, len(kernel), stride, groups=channels)
        conv.weight.data = kernel.repeat(channels, 1, 1, 1)
        conv.bias = nn.Parameter(torch.zeros(channels, dtype=kernel.dtype))
        for axis in (3, 2):
            ends = 0, size[axis - 2] - 1
            first, last = (
                self._call(torch.narrow, x, axis, end, 1) if ends[1] else x for end in ends
            )
            x = self._call(torch.cat, [first, x, last], axis)
        return self._layer(name, conv, x)

    def _mean(self, x: fx.Node, size: int) -> fx.Node:
        return self._call(F.avg_pool2d, x, size)

    def _layer(self, name: str, layer: nn.Module, x: fx.Node) -> fx.Node:
        self._module.add_submodule(name, layer.double().requires_grad_(False))
        return self._module.graph.call_module(name, (x,))

    def _call(self, function: object, *args: object, **kwargs: object) -> fx.Node:
        return self._module.graph.call_function(function, args, kwargs)  # type: ignore[arg-type]


def _square(kernel: torch.Tensor) -> torch.Tensor:
    return torch.outer(kernel, kernel)
