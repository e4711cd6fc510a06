"""i.MX 95, i.MX RT700 and MCX N947: a pre-check for eIQ Neutron.

Its converter is closed. What is checked here, operator by operator, are the constraints that NXP
published with its backend of ExecuTorch. The converter decides: it may leave more to the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analysis.diagnosis import Examination, Finding, Placement, Prediction, Subject, about, named
from analysis.rules import custom
from runtime.benchmark.board import Board, Cores, load
from runtime.operators import facts_of
from runtime.tflite_graph import Graph, Operator, Tensor

_SOURCE = "NXP's backend of ExecuTorch of 2026, for Neutron-C N3"
_CONVERTED = "CUSTOM NeutronGraph"
_TYPES = ("INT8", "UINT8")
_LONGEST = 4096  # Kernel, stride and dilation.
_LARGEST = 65535  # Kernel height x width x channels, these rounded up to 8.
_RATIOS = (1, 2, 4, 8)
_POOLS = ("MAX_POOL_2D", "AVERAGE_POOL_2D")
_RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
_WINDOW = ("filterHeight", "filterWidth", "strideH", "strideW")
_DILATION = ("dilationHFactor", "dilationWFactor")
_REBUILD = "build it with recipe.sh --target linux"
_NOT_PREDICTED = "not predicted: nothing public ties a file to this NPU's time"
# What no other program of this kit runs on.
_RT700 = Board("imxrt700", "i.MX RT700", "microcontroller", "", Cores(2, "Cortex-M33", 325))


@dataclass(frozen=True)
class Constraint:
    """holds: of an operator. what: it demands, behind the operators' names."""

    rule: str
    holds: Callable[[Operator], bool]
    what: str
    cure: str


def board_of(name: str, boards: Path | None) -> Board:
    """The board of a target."""
    return _RT700 if name == _RT700.name else load(name, boards)


def examine(subject: Subject) -> Examination:
    """What the constraints say of each operator."""
    placements = place(subject.graph, subject.board.kind)
    findings = (
        custom.finding(subject, placements),
        *_broken(subject),
        leaky_relus(subject),
    )
    failed = sum(p.where != "NPU" for p in placements)
    return Examination(
        placements,
        f"pre-check: {failed} fail the constraints of {_SOURCE}; NXP's closed converter decides, "
        "and may leave more to the CPU",
        tuple(finding for finding in findings if finding is not None),
        Prediction(None, _NOT_PREDICTED),
    )


def place(graph: Graph, kind: str = "linux") -> tuple[Placement, ...]:
    """Where each operator runs if the converter takes all that keep the constraints. kind: of the
    board, whose interpreter runs the others."""
    return tuple(_placement(op, kind) for op in graph.operators)


def _placement(op: Operator, kind: str) -> Placement:
    if op.name == _CONVERTED:
        return custom.placed(op, "NPU", "converted already")
    broken = next(failed(op), None)
    if broken is None:
        return custom.placed(op, "NPU")
    return custom.placed_on_cpu(op, broken.what, kind)


def failed(op: Operator) -> Iterator[Constraint]:
    """The constraints that an operator does not keep; only the first where others make no sense."""
    if not CONSTRAINTS[0].holds(op):
        yield CONSTRAINTS[0]
        return
    yield from (constraint for constraint in CONSTRAINTS[1:] if not constraint.holds(op))


def _broken(subject: Subject) -> Iterator[Finding]:
    """A finding for each constraint."""
    operators = [op for op in subject.graph.operators if op.custom is None]
    fails = {op.position: list(failed(op)) for op in operators}
    for constraint in CONSTRAINTS:
        found = [op for op in operators if constraint in fails[op.position]]
        kinds = dict.fromkeys(op.name for op in found)
        shown = ", ".join(named(op for op in found if op.name == kind) for kind in kinds)
        spared = {f"{kind}: {facts_of(kind).cure}" for kind in kinds if facts_of(kind).cure}
        if found:
            yield Finding(
                constraint.rule,
                "warning",
                f"{shown}: {constraint.what}",
                "It fails the pre-check. What the converter does not take runs on the CPU, and "
                "cuts the graph there.",
                "; ".join([constraint.cure, *sorted(spared)]),
                _SOURCE,
                tuple(op.position for op in found),
            )


def leaky_relus(subject: Subject) -> Finding | None:
    """An activation that is taken, but by itself."""
    return about(
        subject.graph.named("LEAKY_RELU"),
        "leaky-relu",
        "note",
        ": taken, but not fused",
        "RELU, RELU6, sigmoid and tanh are fused with the convolution before them; this one is an "
        "operator of its own. What it takes there is not known.",
        "./nanodet train --activation relu",
        _SOURCE,
    )


def _is_listed(op: Operator) -> bool:
    return bool(facts_of(op.name).neutron) and bool(op.inputs) and op.output is not None


def _activations(op: Operator) -> list[Tensor]:
    """What it computes with, besides weights, biases and lists of numbers."""
    weighs = bool(facts_of(op.name).weights)
    read = [t for t in (op.inputs[:1] if weighs else op.inputs) if t is not None]
    return [*(t for t in read if weighs or not t.is_constant), *op.outputs]


def _is_integer(op: Operator) -> bool:
    return all(tensor.dtype in _TYPES for tensor in _activations(op))


def _has_constant_weights(op: Operator) -> bool:
    if not facts_of(op.name).weights:
        return True
    weight, bias = op.input(1), op.input(2)
    fixed = weight is not None and weight.is_constant and weight.dtype in _TYPES
    return fixed and (bias is None or (bias.is_constant and bias.dtype == "INT32"))


def _has_short_sides(op: Operator) -> bool:
    sides = [getattr(op.options, name, 1) for name in (*_WINDOW, *_DILATION)]
    return max([*sides, *_kernel(op)[:2]]) <= _LONGEST


def _kernel(op: Operator) -> tuple[int, int, int]:
    """Height, width and channels of a convolution's window; ones for anything else."""
    weight = op.input(1)
    if not facts_of(op.name).is_convolution or weight is None or len(weight.shape) != 4:
        return 1, 1, 1
    _, height, width, channels = weight.shape
    return height, width, channels


def _has_small_kernel(op: Operator) -> bool:
    height, width, channels = _kernel(op)
    return height * width * -(-channels // 8) * 8 <= _LARGEST


def _has_one_group(op: Operator) -> bool:
    source, weight = op.input(0), op.input(1)
    if op.name != "CONV_2D" or not (source and weight and source.shape and weight.shape):
        return True
    return source.shape[-1] == weight.shape[-1]


def _shares_scale(op: Operator) -> bool:
    if op.name not in ("CONCATENATION", *_POOLS):
        return True
    return len({(t.scales, t.zero_points) for t in _activations(op)}) == 1


def _grows_evenly(op: Operator) -> bool:
    source, made = op.input(0), op.output
    if op.name not in _RESIZES or source is None or made is None:
        return True
    corner = int(getattr(op.options, "alignCorners", False))
    sides = list(zip(source.shape[1:3], made.shape[1:3], strict=False))
    return len(sides) == 2 and all(
        any(after - corner == ratio * (before - corner) for ratio in _RATIOS) and before > corner
        for before, after in sides
    )


def _pads_a_picture(op: Operator) -> bool:
    if op.name not in ("PAD", "PADV2"):
        return True
    pads = op.input(1)
    sides = pads.integers if pads is not None else ()
    return len(sides) == 8 and not any((*sides[:2], *sides[6:]))


CONSTRAINTS = (
    Constraint("operator", _is_listed, "not among the published operators", _REBUILD),
    Constraint("types", _is_integer, "not int8 or uint8 in and out",
               "recipe.sh --quantization int8"),
    Constraint("weights", _has_constant_weights,
               "weights are no int8 constants, or the bias is no int32 one", _REBUILD),
    Constraint("window", _has_short_sides, f"kernel, stride or dilation above {_LONGEST}",
               _REBUILD),
    Constraint("kernel", _has_small_kernel,
               f"height x width x channels of the kernel above {_LARGEST}",
               "recipe.sh --model with fewer channels"),
    Constraint("groups", _has_one_group, "a convolution of groups, and not depthwise",
               f"{_REBUILD}: its networks have none"),
    Constraint("scales", _shares_scale, "inputs do not have the output's scale and zero point",
               f"{_REBUILD}: tensors that are joined share one scale from the start"),
    Constraint("resize", _grows_evenly,
               f"resizes height or width by another factor than {', '.join(map(str, _RATIOS))}",
               _REBUILD),
    Constraint("pad", _pads_a_picture, "pads other than height and width, or by no constant",
               f"{_REBUILD}: its rewrite rotate_180 leaves none"),
)  # fmt: skip
