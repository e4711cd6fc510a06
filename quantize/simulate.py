"""Runs a `FloatGraph` in PyTorch, in float or with the rounding of TFLite's int8 kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F

from convert.padding import same_padding
from quantize.float_graph import FloatGraph, FloatOperator

STEPS = 255  # Between the smallest and the largest int8.
WEIGHT_PEAK = 127
_CLIPPED = 0.501  # An error of so many steps is clipping; rounding makes half a step at most.

# (low, high) of each group of tensors with one scale, each a tensor of one value.
Ranges = Mapping[int, tuple[torch.Tensor, torch.Tensor]]


def run(
    graph: FloatGraph,
    images: torch.Tensor,
    ranges: Ranges | None = None,
    weights: Sequence[torch.Tensor] | None = None,
    biases: Sequence[torch.Tensor] | None = None,
    observe: Callable[[int, torch.Tensor], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Logits (N, C, h, w) by output name.

    images: (N, 3, H, W) as the graph takes them. ranges: round activations to these; groups that
    are missing stay float. weights, biases: instead of the graph's. observe: is shown each tensor.
    """
    weights = graph.weights if weights is None else weights
    biases = graph.biases if biases is None else biases
    values = {graph.input: images.contiguous(memory_format=torch.channels_last)}
    last_use = {t: i for i, op in enumerate(graph.operators) for t in op.inputs}
    kept = set(graph.outputs.values())
    for position, op in enumerate(graph.operators):
        inputs = [values[t] for t in op.inputs]
        if op.kind == "SPLIT":
            results = list(inputs[0].chunk(len(op.outputs), 1))
        else:
            results = [_compute(graph, op, inputs, weights, biases)]
        if ranges is not None and op.facts.rounds:
            limits = ranges.get(graph.scale_group[op.outputs[0]])
            source = ranges.get(graph.scale_group[op.inputs[0]])
            if limits and source and op.kind == "LEAKY_RELU":
                results = [results[0] - _tie_shift(inputs[0], op.options.alpha, source, limits)]
            results = [round_activation(results[0], *limits)] if limits else results
        for tensor, result in zip(op.outputs, results, strict=True):
            values[tensor] = result
            if observe is not None:
                observe(tensor, result)
        for tensor in set(op.inputs):
            if last_use[tensor] == position and tensor not in kept:
                del values[tensor]
    return {name: values[tensor] for name, tensor in graph.outputs.items()}


def _compute(
    graph: FloatGraph,
    op: FloatOperator,
    inputs: list[torch.Tensor],
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
) -> torch.Tensor:
    x = inputs[0]
    if op.layer is not None:
        weight, stride = weights[op.layer], op.options.strideH
        groups = len(weight) if op.kind == "DEPTHWISE_CONV_2D" else 1
        if op.options.padding == 0:
            x = _pad_same(x, weight.shape[2:], stride, 0.0)
        y = F.conv2d(x, weight, biases[op.layer], stride, groups=groups)
    elif op.kind == "LEAKY_RELU":
        y = F.leaky_relu(x, op.options.alpha)
    elif op.kind == "HARD_SWISH":
        y = F.hardswish(x)
    elif op.kind == "ADD":
        y = x + inputs[1]
    elif op.kind == "MUL":
        y = x * inputs[1]
    elif op.kind == "CONCATENATION":
        y = torch.cat(inputs, op.axis)
    elif op.window:
        y = x[op.window]
    elif op.kind == "PAD":
        y = F.pad(x, op.pads)
    elif op.kind == "GATHER":
        y = x[:, op.indices]
    elif op.kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        y = _pool(op, x)
    elif op.kind == "RESIZE_BILINEAR":
        size = graph.shape_nhwc(op.outputs[0])[1:3]
        y = F.interpolate(x, size, mode="bilinear", align_corners=False)
    else:
        y = F.relu(x) if op.kind == "RELU" else F.relu6(x)
    if op.fused == "none":
        return y
    return F.relu(y) if op.fused == "relu" else F.relu6(y)


@torch.no_grad()
def _tie_shift(
    x: torch.Tensor,
    alpha: float,
    source: tuple[torch.Tensor, torch.Tensor],
    target: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """How far below the nearest step LEAKY_RELU's negative values come out, on average.

    TFLite's kernels multiply a negative value by a fraction and round to a whole number, then
    halve it `halvings` times and round ties away from zero; one in 2^halvings is a tie, half a
    step off. XNNPACK has no such ties: half the shift lies between the two.
    """
    steps = [(high - low) / STEPS for low, high in (source, target)]
    halvings = -math.frexp(alpha * float(steps[0] / steps[1]))[1]
    return x.sign().clamp_(max=0).mul_(-float(steps[1]) * 0.25 * 0.5 ** max(halvings, 0))


def _pool(op: FloatOperator, x: torch.Tensor) -> torch.Tensor:
    kernel, stride = (op.options.filterHeight, op.options.filterWidth), op.options.strideH
    if op.kind == "AVERAGE_POOL_2D":
        return F.avg_pool2d(x, kernel, (stride, op.options.strideW))
    if op.options.padding == 0:
        x = _pad_same(x, kernel, stride, -math.inf)
    return F.max_pool2d(x, kernel, stride)


def _pad_same(x: torch.Tensor, kernel: Sequence[int], stride: int, value: float) -> torch.Tensor:
    """With TensorFlow's SAME padding."""
    height, width = (
        same_padding(size, k, stride) for size, k in zip(x.shape[2:], kernel, strict=True)
    )
    return F.pad(x, (*width, *height), value=value) if any(height + width) else x


def scale_and_zero_point(
    low: torch.Tensor, high: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 quantization of the range [low, high], which holds 0."""
    scale = (high - low) / STEPS
    return scale, torch.round(-128 - low / scale).clamp(-128, 127)


class _RoundActivation(torch.autograd.Function):
    """Quantize and dequantize; gradients of the limits as in LSQ+ (Bhalgat et al., 2004.09576)."""

    @staticmethod
    def forward(ctx, x, low, high):  # type: ignore[no-untyped-def]
        scale, zero_point = scale_and_zero_point(low, high)
        step, zero = float(scale), float(zero_point)
        y = (x / step).add_(zero).round_().clamp_(-128, 127).sub_(zero).mul_(step)
        # Clipped errors end up at the ends, which tells them from others.
        ctx.step, ctx.end = step, step * _CLIPPED
        ctx.save_for_backward((y - x).clamp_(-ctx.end, ctx.end))
        return y

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (error,) = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(gradient, error, -ctx.end, ctx.end)
        by_scale = torch.dot(_flat(passed), _flat(error)) / (ctx.step * STEPS)
        clipped = _flat(gradient - passed)
        both, difference = clipped.sum(), torch.dot(clipped, _flat(error)) / ctx.end
        below, above = (both + difference) / 2, (both - difference) / 2
        return passed, below - by_scale, above + by_scale


def _flat(x: torch.Tensor) -> torch.Tensor:
    """In the order of channels_last memory, which needs no copy."""
    return x.permute(0, 2, 3, 1).reshape(-1)


def round_activation(x: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """x as int8 with the range [low, high] can hold it; differentiable in all three."""
    result: torch.Tensor = _RoundActivation.apply(x, low, high)
    return result


def weight_step(weight: torch.Tensor, per_channel: bool = True) -> torch.Tensor:
    """Scale of each output channel, (out, 1, 1, 1); a channel of zeros gets 1."""
    peak = weight.detach().abs().amax((1, 2, 3), keepdim=True)
    if not per_channel:
        peak = peak.max().expand_as(peak)
    return torch.where(peak > 0, peak, torch.full_like(peak, WEIGHT_PEAK)) / WEIGHT_PEAK


def round_weight(weight: torch.Tensor, per_channel: bool = True) -> torch.Tensor:
    """The weight as int8 holds it; gradients pass through."""
    step = weight_step(weight, per_channel)
    rounded = torch.round(weight.detach() / step).clamp(-WEIGHT_PEAK, WEIGHT_PEAK) * step
    return weight + (rounded - weight.detach())
