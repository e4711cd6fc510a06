"""Activations whose tables are the same in every engine.

LEAKY_RELU and RELU multiply by the ratio of two scales. NXP's TensorFlow Lite Micro of July 2025
and LiteRT's plain kernels form it in float32, later TensorFlow Lite Micro in float64. Where a
product lies half-way between two steps, a last bit of the ratio decides, and a board answers
otherwise than a PC. A table is steady where no ratio within float32's error gives another one.

No other operator of NanoDet has this trap: convolutions and ADD form their ratios in float64
everywhere, pools and RESIZE_BILINEAR form none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from quantize.fixed_point import leaky_relu_table, quantize_multiplier
from quantize.float_graph import FloatGraph, FloatOperator
from quantize.simulate import scale_and_zero_point
from runtime.operators import facts_of
from runtime.tflite_graph import Graph, Operator

Ends = tuple[float, float]
Scale = tuple[float, int]  # As a file holds it, and the zero point.

_ERROR = 2.0**-22  # Twice that of a product and a quotient in float32.
# A range is stretched by so much at a time, which the farthest int8 feels as 1/1000 of a step.
_NUDGE = 2.0**-18
_MOST_NUDGES = 64


def is_steady(alpha: float, source: Scale, target: Scale) -> bool:
    """Is the table from `source` to `target` the same whatever way the ratio is formed?

    alpha: the slope below 0, of float32 precision; 0 for RELU.
    """
    one, slope, other = np.float32(source[0]), np.float32(alpha), np.float32(target[0])
    ratios = [(float(one / other), float(one * slope / other))]
    exact = float(one) / float(other)
    for factor in (1 - _ERROR, 1.0, 1 + _ERROR):
        ratios.append((exact * factor, exact * float(slope) * factor))
    tables = [_table(*pair, source[1], target[1]) for pair in ratios]
    return all(np.array_equal(table, tables[0]) for table in tables[1:])


def _table(above: float, below: float, from_zero: int, to_zero: int) -> np.ndarray:
    fixed = (*quantize_multiplier(above), *quantize_multiplier(below))
    return leaky_relu_table((from_zero, to_zero, *fixed))


def unsteady(graph: Graph) -> Iterator[Operator]:
    """The activations of an int8 file that are not steady."""
    for op in graph.operators:
        if facts_of(op.name).ratio != "float32":
            continue
        scales = [(t.scales[0], t.zero_points[0]) for t in (op.inputs[0], *op.outputs) if t]
        if not is_steady(_slope(op.options), *scales):
            yield op


def settle(graph: FloatGraph, ranges: Mapping[int, Ends]) -> dict[int, Ends]:
    """The ranges, those of activations' inputs stretched by some millionths until all are steady.

    ranges: (low, high) of each group of tensors with one scale. What cannot be settled stays;
    `verify` refuses the file.
    """
    result = dict(ranges)
    found = [op for op in graph.operators if op.facts.ratio == "float32"]

    def steady(op: FloatOperator) -> bool:
        groups = (graph.scale_group[t] for t in (op.inputs[0], op.outputs[0]))
        return is_steady(_slope(op.options), *(_scale(result[g]) for g in groups))

    for op in found:
        group = graph.scale_group[op.inputs[0]]
        if steady(op) or group == graph.scale_group[graph.input]:
            continue
        before = result[group]
        touched = [o for o in found if o is not op and _touches(graph, o, group) and steady(o)]
        for nudges in range(1, _MOST_NUDGES + 1):
            factor = 1 + nudges * _NUDGE
            result[group] = before[0] * factor, before[1] * factor
            if steady(op) and all(map(steady, touched)):
                break
        else:
            result[group] = before
    return result


def _touches(graph: FloatGraph, op: FloatOperator, group: int) -> bool:
    return group in (graph.scale_group[t] for t in (*op.inputs, *op.outputs))


def _slope(options: Any) -> float:
    """RELU has no options."""
    return float(getattr(options, "alpha", 0.0))


def _scale(limits: Ends) -> Scale:
    scale, zero_point = scale_and_zero_point(*map(torch.tensor, limits))
    return float(scale), int(zero_point)
