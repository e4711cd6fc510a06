"""Round weights so that what each layer gives changes least (GPTQ, arXiv:2210.17323).

The weights of a channel are rounded one after another. What rounding one changes in the layer's
output, on the calibration photographs, those that follow make up for, and in the end the bias,
which takes in bias correction (Nagel et al., arXiv:1906.04721, 4.2). The most used go first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from quantize.graph import Graph, Operator
from quantize.simulate import WEIGHT_PEAK, pad_same, run, weight_step
from quantize.statistics import Progress

_DAMPING = 0.01  # Of the inputs' mean square, added to each, as in GPTQ.
# Of a constant's square: keeps inputs that are never active, and the bias, from being singular.
_SMALLEST = 1e-8
_PEAK_SLACK = 1e-3  # In steps: the float32 step times 127 misses the peak by less.


def round_weights(graph: Graph, images: Sequence[torch.Tensor], progress: Progress) -> None:
    """Round the graph's weights to the steps they have, and adapt its biases, in place.

    images: each (1, 3, H, W) as the graph takes them.
    """
    moments = _second_moments(graph, images, progress)
    rounded = [
        _round_layer(weight, bias, moments[layer], graph.scheme.per_channel)
        for layer, (weight, bias) in enumerate(zip(graph.weights, graph.biases, strict=True))
    ]
    graph.weights, graph.biases = [w for w, _ in rounded], [b for _, b in rounded]


def _second_moments(
    graph: Graph, images: Sequence[torch.Tensor], progress: Progress
) -> list[torch.Tensor]:
    """Of each layer's inputs with a 1 behind them, in the float network, (groups, K + 1, K + 1)."""
    readers: dict[int, list[Operator]] = {}
    for op in graph.convolutions:
        readers.setdefault(op.inputs[0], []).append(op)
    total: dict[int, torch.Tensor] = {}

    def add(tensor: int, values: torch.Tensor) -> None:
        for op in readers.get(tensor, ()):
            assert op.layer is not None
            inputs = F.pad(_inputs(graph, op, values), (0, 0, 0, 1), value=1.0)
            product = (inputs @ inputs.transpose(1, 2)).double()
            total[op.layer] = total[op.layer] + product if op.layer in total else product

    with torch.no_grad():
        for i, image in enumerate(images):
            add(graph.input, image)
            run(graph, image, observe=add)
            progress(i + 1, len(images))
    return [total[layer] for layer in range(len(graph.weights))]


def _inputs(graph: Graph, op: Operator, values: torch.Tensor) -> torch.Tensor:
    """What the weights of a channel meet at each place, (groups, K, places); values: one image."""
    assert op.layer is not None
    weight, stride = graph.weights[op.layer], op.options.strideH
    kernel = tuple(weight.shape[2:])
    if op.options.padding == 0:
        values = pad_same(values, kernel, stride, 0.0)
    groups = len(weight) if op.kind == "DEPTHWISE_CONV_2D" else 1
    unfolded = F.unfold(values, kernel, stride=stride)[0]
    return unfolded.reshape(groups, -1, unfolded.shape[1])


def _round_layer(
    weight: torch.Tensor, bias: torch.Tensor, moments: torch.Tensor, per_channel: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight on its steps and the bias that goes with it.

    weight: (out, in, kh, kw). moments: (groups, K + 1, K + 1), K weights a channel.
    """
    groups, size = len(moments), moments.shape[1] - 1
    weights = weight.double().reshape(groups, -1, size)
    steps = weight_step(weight, per_channel).double().reshape(groups, -1)
    order, root = _order_and_root(moments)
    # The bias stands behind the weights and comes last.
    rest = torch.cat([weights, bias.double().reshape(groups, -1, 1)], 2)
    rest = rest.gather(2, order[:, None].expand_as(rest))
    weights = weights.gather(2, order[:, None, :size].expand_as(weights))
    for i in range(size):
        rounded = (rest[..., i] / steps).round().clamp(-WEIGHT_PEAK, WEIGHT_PEAK) * steps
        # Those that set the step keep it.
        peak = weights[..., i].abs() > (WEIGHT_PEAK - _PEAK_SLACK) * steps
        rounded = torch.where(peak, weights[..., i], rounded)
        error = (rest[..., i] - rounded) / root[:, i, i, None]
        rest[..., i + 1 :] -= error[..., None] * root[:, None, i, i + 1 :]
        rest[..., i] = rounded
    rest = rest.gather(2, order.argsort(1)[:, None].expand_as(rest))
    return (
        rest[..., :size].reshape(weight.shape).to(weight.dtype),
        rest[..., size].reshape(bias.shape).to(bias.dtype),
    )


def _order_and_root(moments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The order of a group's inputs, (groups, K + 1), and in it the upper Cholesky factor of the
    inverse of their moments."""
    groups, size = len(moments), moments.shape[1] - 1
    square = moments.diagonal(dim1=1, dim2=2)
    constant = square[:, size:]
    damping = _DAMPING * square[:, :size].mean(1, keepdim=True) + _SMALLEST * constant
    damped = moments + torch.diag_embed(
        torch.cat([damping.expand(-1, size), _SMALLEST * constant], 1)
    )
    last = torch.full((groups, 1), size)
    order = torch.cat([square[:, :size].argsort(dim=1, descending=True, stable=True), last], 1)
    damped = damped.gather(1, order[:, :, None].expand_as(damped))
    damped = damped.gather(2, order[:, None].expand_as(damped))
    return order, torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
