"""Ranges with which every engine gives LEAKY_RELU the slopes that it has.

On int8 the operator multiplies by input scale / output scale, below 0 also by alpha. XNNPACK
rounds both factors to whole 256ths: where the scales' ratio is 0.6, its slopes are off by up to
0.3 % above 0 and 3 % below. TFLite Micro's are not, and the two agree where the factors are such
fractions. `quantize.steady` then moves them off the ties that such fractions make.
"""

from __future__ import annotations

import torch

from quantize.float_graph import FloatGraph
from quantize.simulate import STEPS, Ranges

_FRACTION = 256
# How far a factor may move, in its fractions: of any ten in a row one suits alpha = 0.1.
_REACH = 5
_SLOPE_OVER_RANGE = 100  # A slope's error stays in every picture; a range a little wider does not.


def exact(graph: FloatGraph, ranges: Ranges) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """The ranges, those of LEAKY_RELU's inputs made a little wider or narrower; differentiable.

    ranges: (low, high) of each group of tensors with one scale; groups may be missing.
    """
    result = dict(ranges)
    leaky = [op for op in graph.operators if op.kind == "LEAKY_RELU"]
    fixed = {graph.scale_group[t] for op in leaky for t in op.outputs}
    fixed.add(graph.scale_group[graph.input])
    for op in leaky:
        source, target = (graph.scale_group[t] for t in (op.inputs[0], op.outputs[0]))
        if source in fixed or source not in ranges or target not in ranges:
            continue
        fixed.add(source)
        ratio = _step(ranges[source]) / _step(ranges[target])
        factor = fraction(float(ratio.detach()), op.options.alpha) / ratio
        low, high = ranges[source]
        result[source] = low * factor, high * factor
    return result


def _step(limits: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return (limits[1] - limits[0]) / STEPS


def fraction(ratio: float, alpha: float) -> float:
    """The fraction near `ratio` that is one also when multiplied by `alpha`, or nearly."""

    def cost(whole: int) -> float:
        below = whole * alpha
        slope = abs(round(below) - below) / below if below else 0.0
        return _SLOPE_OVER_RANGE * slope + abs(whole / (ratio * _FRACTION) - 1)

    middle = round(ratio * _FRACTION)
    return min(range(max(middle - _REACH, 1), middle + _REACH + 1), key=cost) / _FRACTION
