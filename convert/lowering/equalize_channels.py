"""Scale channels against each other so that each uses its tensor's int8 range (cross-layer
equalization; Nagel et al., arXiv:1906.04721, section 4.1, here over whole graphs).

A tensor has one scale, set by its largest channel; quiet channels drown in its rounding. Where
only positively homogeneous operators lie between convolutions, a channel can be multiplied by any
s > 0 in the convolution that makes it and divided by s in all that read it. Channels are followed
through concatenations, slices, shuffles, pools and resizes; channels that are added share one s.

s is the root of what would fill the range: the other half of the difference is left to the
weights of the reader, whose rows have one scale each.
"""

from __future__ import annotations

import copy
import math
import operator
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from convert.lowering.base import Lowered, editable, finish, output_nodes, source
from convert.lowering.rotate_180 import SameConv2d, SameMaxPool2d

_EXPONENT = 0.5
_QUIETEST = 1e-2  # Channels below this share of the range are taken for dead, not for quiet.

_HOMOGENEOUS_MODULES = (nn.LeakyReLU, nn.ReLU, nn.MaxPool2d, SameMaxPool2d)
_HOMOGENEOUS_FUNCTIONS = (F.avg_pool2d, F.interpolate)

# A channel: the convolution that makes it, and its number there.
Channel = tuple[fx.Node, int]


def apply(model: Lowered, canvases: Sequence[np.ndarray]) -> Lowered:
    """Equalize over the activations on `canvases`, calibration photographs."""
    module = editable(model)
    channels = _Channels(module)
    peaks = _peaks(Lowered(copy.deepcopy(module).float(), model.spec), canvases)
    for group, share in _shares(module, channels, peaks).items():
        exponent = _EXPONENT * math.log2(1 / max(share, _QUIETEST))
        channels.scale(group, 2.0**exponent)
    return finish(module, model)


class _Channels:
    """Which channels lie where in the graph, which must scale together, who reads them."""

    def __init__(self, module: fx.GraphModule) -> None:
        self.of: dict[fx.Node, list[Channel]] = {}
        self.module = module
        self._parent: dict[Channel, Channel] = {}
        self._readers: dict[Channel, list[tuple[nn.Conv2d, int]]] = defaultdict(list)
        self._fixed: set[Channel] = set()
        parts: dict[fx.Node, list[list[Channel]]] = {}
        for node in module.graph.nodes:
            if node.op == "placeholder":
                self.of[node] = [(node, i) for i in range(3)]
                self._fixed.update(self.of[node])
            elif node.target == "chunk":
                whole = self.of[source(node)]
                size = len(whole) // node.args[1]
                parts[node] = [whole[i : i + size] for i in range(0, len(whole), size)]
            elif node.target is operator.getitem:
                self.of[node] = parts[source(node)][node.args[1]]
            elif node.op not in ("get_attr", "output"):
                self.of[node] = self._follow(node)
        for node in output_nodes(module)[1]:
            self._fixed.update(self.of[node])

    def _follow(self, node: fx.Node) -> list[Channel]:
        inputs = [self.of[n] for n in node.all_input_nodes if n in self.of]
        if (conv := convolution(self.module, node)) is not None:
            for position, channel in enumerate(inputs[0]):
                self._readers[channel].append((conv, position))
            return [(node, i) for i in range(conv.out_channels)]
        arguments: Any = node.args
        if node.target is torch.cat:
            return [channel for part in arguments[0] for channel in self.of[part]]
        if node.target is torch.index_select:
            indices = self.module.get_buffer(arguments[2].target)
            return [inputs[0][int(i)] for i in indices]
        if node.target is operator.add:
            for a, b in zip(*inputs, strict=True):
                self._parent[self.group(a)] = self.group(b)
            return inputs[0]
        if not self._homogeneous(node):
            self._fixed.update(inputs[0])
        return inputs[0]

    def _homogeneous(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self.module.get_submodule(str(node.target)), _HOMOGENEOUS_MODULES)
        return node.target in _HOMOGENEOUS_FUNCTIONS

    def group(self, channel: Channel) -> Channel:
        """The channel that stands for all that must scale with `channel`."""
        while (parent := self._parent.get(channel, channel)) != channel:
            channel = parent
        return channel

    @cached_property
    def free_groups(self) -> dict[Channel, list[Channel]]:
        """Groups that may be scaled: representative -> members."""
        members = defaultdict(set)
        for channels in self.of.values():
            for channel in channels:
                members[self.group(channel)].add(channel)
        fixed = {self.group(channel) for channel in self._fixed}
        return {g: sorted(m, key=str) for g, m in members.items() if g not in fixed}

    def scale(self, group: Channel, factor: float) -> None:
        """Multiply a group's channels by `factor` where they are made, divide where read."""
        for node, i in self.free_groups[group]:
            maker = convolution(self.module, node)
            assert maker is not None and maker.bias is not None
            maker.weight.data[i] *= factor
            maker.bias.data[i] *= factor
            for conv, position in self._readers[node, i]:
                if conv.groups > 1:
                    conv.weight.data[position] /= factor
                else:
                    conv.weight.data[:, position] /= factor


def convolution(module: fx.GraphModule, node: fx.Node) -> nn.Conv2d | None:
    """The convolution that `node` calls, if it calls one."""
    if node.op != "call_module":
        return None
    layer = module.get_submodule(str(node.target))
    inner = layer.conv if isinstance(layer, SameConv2d) else layer
    return inner if isinstance(inner, nn.Conv2d) else None


def _peaks(model: Lowered, canvases: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Largest absolute value of each channel of each tensor, by node name."""
    peaks: dict[str, torch.Tensor] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            result = super().run_node(n)
            if isinstance(result, torch.Tensor) and result.ndim == 4:
                peak = result[0].abs().amax((1, 2))
                peaks[n.name] = torch.maximum(peaks[n.name], peak) if n.name in peaks else peak
            return result

    with torch.inference_mode():
        for canvas in canvases:
            Recorder(model.module).run(model.input_tensor(canvas))
    return peaks


def _shares(
    module: fx.GraphModule, channels: _Channels, peaks: dict[str, torch.Tensor]
) -> dict[Channel, float]:
    """For each group that may be scaled, the largest share of a tensor's range it fills."""
    free = channels.free_groups
    shares: dict[Channel, float] = defaultdict(float)
    for node, inside in channels.of.items():
        if not _rounding_matters(module, node):
            continue
        peak = peaks[node.name]
        largest = float(peak.max())
        for channel, value in zip(inside, peak.tolist(), strict=True):
            group = channels.group(channel)
            if group in free and largest > 0:
                shares[group] = max(shares[group], value / largest)
    return {group: share for group, share in shares.items() if share > 0}


def _rounding_matters(module: fx.GraphModule, node: fx.Node) -> bool:
    """Is the tensor read by a convolution or an activation, not merely moved?"""

    def reads(user: fx.Node) -> bool:
        return convolution(module, user) is not None or (
            user.op == "call_module"
            and isinstance(module.get_submodule(str(user.target)), (nn.LeakyReLU, nn.ReLU))
        )

    return any(reads(user) for user in node.users)
