"""i.MX 8M Plus: its NPU through `vx_delegate`.

Which operators the delegate hands over is as in VeriSilicon's `op_map.cc` of January 2025, see
`runtime.operators`; what the driver makes of them is not public.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.diagnosis import (
    Examination,
    Finding,
    Placement,
    Prediction,
    Subject,
    about,
    positions,
)
from analysis.rules import custom
from runtime.operators import facts_of
from runtime.tflite_graph import Operator

_SOURCE = "VeriSilicon's tflite-vx-delegate, op_map.cc of January 2025"
_RANK = 4


def examine(subject: Subject) -> Examination:
    """What can be said without the board."""
    placements = tuple(_placement(op) for op in subject.graph.operators)
    findings = (
        custom.finding(subject, placements),
        left_to_cpu(placements),
        wide_transposes(subject),
        per_channel(subject),
    )
    return Examination(
        placements,
        f"as {_SOURCE}, hands them over; the BSP's may differ, and what the driver then does is "
        "not known",
        tuple(finding for finding in findings if finding is not None),
        _predict(subject),
    )


def _placement(op: Operator) -> Placement:
    facts = facts_of(op.name)
    if not facts.vx:
        return custom.placed_on_cpu(op, "the delegate has no mapping for it")
    if facts.weights and _is_hybrid(op):
        return custom.placed(op, "CPU", "weights and activations are of different types")
    return custom.placed(op, "NPU")


def _is_hybrid(op: Operator) -> bool:
    return len({tensor.dtype for tensor in op.inputs[:2] if tensor}) > 1


def _predict(subject: Subject) -> Prediction:
    published = [p for p in subject.board.published if p.accelerator == "npu"]
    known = "".join(f"; published for {p.model}: {p.latency_ms:g} ms" for p in published)
    return Prediction(
        None,
        "not predicted: nothing public ties a file to this NPU's time, `./nanodet bench` "
        f"measures it{known}",
    )


def left_to_cpu(placements: Sequence[Placement]) -> Finding | None:
    """Operators at which the graph is cut."""
    found = [p for p in placements if p.where == "CPU"]
    if not found:
        return None
    kinds = "; ".join(sorted({f"{p.operator}: {p.reason}" for p in found}))
    return Finding(
        "cpu",
        "warning",
        f"operators left to the CPU: {len(found)} of {len(placements)}",
        f"{kinds}. Each cuts the graph, and tensors travel there and back.",
        "build it with recipe.sh --target linux, in int8",
        _SOURCE,
        tuple(p.position for p in found),
    )


def wide_transposes(subject: Subject) -> Finding | None:
    """Transposes of more than 4 dimensions."""
    found = [op for op in subject.graph.named("TRANSPOSE") if op.rank > _RANK]
    return about(
        found,
        "wide-transpose",
        "warning",
        f" of rank {max((op.rank for op in found), default=0)}",
        "Conversions for VeriSilicon's NPU split the graph at each; other targets give wrong "
        "values or leave them to the CPU. Whether this BSP's driver takes them is not known.",
        "build it with recipe.sh: shuffle_by_slices leaves no transpose",
        "reported of this NPU, not measured by this kit",
    )


def per_channel(subject: Subject) -> Finding | None:
    """Weights with one scale per channel."""
    found = [
        op
        for op in subject.graph.operators
        if facts_of(op.name).weights and (weight := op.input(1)) and len(weight.scales) > 1
    ]
    if not found:
        return None
    return Finding(
        "per-channel",
        "note",
        f"operators whose weights have one scale per channel: {len(found)}",
        "One scale per tensor can be much faster on this NPU, and costs accuracy. By how much is "
        "not known without the board.",
        "recipe.sh --quantization int8-per-tensor",
        "reported of this NPU, not measured by this kit",
        positions(found),
    )
