"""i.MX 93: its Ethos-U65, by the answer of Arm's own compiler, Vela."""

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
from analysis.vela import Compiled, Refused, compile_model
from runtime.errors import KitError
from runtime.operators import facts_of
from runtime.tflite_graph import Operator

_RANK = 4
_COLOURS = 4
_MATTERS = 0.2


def examine(subject: Subject) -> Examination:
    """Compile and report. Raises `KitError` where Vela is missing, or has compiled the file
    already."""
    if subject.graph.named("CUSTOM ethos-u"):
        raise KitError(f"{subject.path}: Vela has compiled it already; give the file it was before")
    try:
        compiled = compile_model(subject.path)
    except Refused as error:
        return _refused(subject, error)
    placements = tuple(_place(op, compiled) for op in subject.graph.operators)
    findings = (
        custom.finding(subject, placements),
        left_to_cpu(subject, compiled, placements),
        wide_transposes(subject, compiled),
        shallow_stem(subject, compiled),
    )
    return Examination(
        placements,
        f"Vela {compiled.version}'s own answer; NXP keeps a fork of it a BSP",
        tuple(finding for finding in findings if finding is not None),
        _predict(compiled),
        memory=(
            f"Vela plans {compiled.sram_bytes:,} bytes of SRAM, {compiled.dram_bytes:,} of DRAM",
        ),
    )


def _is_left(op: Operator, compiled: Compiled) -> bool:
    """Did Vela leave it to the CPU? Told by the names of its outputs."""
    return any(tensor.name in compiled.cpu for tensor in op.outputs)


def _place(op: Operator, compiled: Compiled) -> Placement:
    """Vela leaves custom operators to the CPU, whose interpreter may not know them."""
    if op.custom is not None or _is_left(op, compiled):
        return custom.placed_on_cpu(op, _reason(op, compiled))
    return custom.placed(op, "NPU")


def _reason(op: Operator, compiled: Compiled) -> str:
    """Vela's, for an operator that it left to the CPU."""
    found = (compiled.cpu.get(tensor.name, "") for tensor in op.outputs)
    return next(filter(None, found), "Vela gives no reason")


def _predict(compiled: Compiled) -> Prediction:
    if not compiled.layers:
        why = "leaves every operator to the CPU, whose time it does not know"
        return Prediction(None, f"not predicted: Vela {compiled.version} {why}")
    left = len(compiled.cpu)
    return Prediction(
        compiled.latency_ms,
        f"Vela {compiled.version}'s estimate for an Ethos-U65-256 at 1 GHz"
        + (f", without the operators left to the CPU, {left}" if left else ""),
        "unknown: no measurement, and the time of operators on the CPU is not in it",
        bool(left),
    )


def _refused(subject: Subject, error: Refused) -> Examination:
    """Of a file that Vela does not compile: nothing of it is known to run on the NPU."""
    reason = "Vela refuses the file"
    placements = tuple(custom.placed_on_cpu(op, reason) for op in subject.graph.operators)
    refused = Finding(
        "refused",
        "error",
        "Vela does not compile the file",
        str(error),
        "build it with recipe.sh --target ethos-u65, whose files Vela compiles",
        "package ethos-u-vela",
    )
    foreign = custom.finding(subject, placements)
    return Examination(
        placements,
        reason,
        (refused,) if foreign is None else (refused, foreign),
        Prediction(None, "not predicted: Vela does not compile the file"),
    )


def left_to_cpu(
    subject: Subject, compiled: Compiled, placements: Sequence[Placement]
) -> Finding | None:
    """Operators at which the graph is cut; those that nothing runs have a finding of their own."""
    operators = subject.graph.operators
    nowhere = {p.position for p in placements if p.where == custom.NOTHING}
    found = [op for op in operators if op.position not in nowhere and _is_left(op, compiled)]
    named = {tensor.name for op in operators for tensor in op.outputs}
    unnamed = sorted(compiled.cpu.keys() - named)
    if not found and not unnamed:
        return None
    reasons = sorted({f"{op.name}: {_reason(op, compiled)}" for op in found})
    reasons += [f"{name}, which the file does not name: {compiled.cpu[name]}" for name in unnamed]
    spared = {op.name: facts_of(op.name).cure for op in found}
    cures = sorted(f"{name}: {cure}" for name, cure in spared.items() if cure)
    return Finding(
        "cpu",
        "warning",
        f"operators left to the CPU: {len(found) + len(unnamed)} of {len(operators)}",
        f"{'; '.join(reasons)}. Each cuts the graph, and tensors travel there and back.",
        f"build it with recipe.sh --target ethos-u65; {'; '.join(cures)}".rstrip("; "),
        f"Vela {compiled.version}",
        positions(found),
    )


def wide_transposes(subject: Subject, compiled: Compiled) -> Finding | None:
    """Transposes of more than 4 dimensions, which depend on the compiler's version."""
    found = [op for op in subject.graph.named("TRANSPOSE") if op.rank > _RANK]
    taken = sum(not _is_left(op, compiled) for op in found)
    return about(
        found,
        "wide-transpose",
        "warning",
        f" of rank {max((op.rank for op in found), default=0)}",
        f"Vela {compiled.version} takes {taken} of them, others leave tensors of more than "
        "4 dimensions to the CPU; NXP's fork in a BSP may be one. Microcontrollers give wrong "
        "values.",
        "build it with recipe.sh: shuffle_by_slices leaves no transpose",
        f"Vela {compiled.version}, and earlier releases' lists of operators",
    )


def shallow_stem(subject: Subject, compiled: Compiled) -> Finding | None:
    """A first convolution that keeps few of the NPU's multipliers busy."""
    convolutions = subject.graph.named("CONV_2D")
    layers = [layer for layer in compiled.layers if layer.operator == "Conv2D"]
    read = convolutions[0].input(0) if convolutions else None
    if not layers or read is None or not compiled.latency_ms:
        return None
    channels = read.shape[-1] if read.shape else 0
    share = layers[0].latency_ms / compiled.latency_ms
    if channels > _COLOURS or share < _MATTERS:
        return None
    return Finding(
        "stem",
        "note",
        f"the first convolution, of {channels} channels, takes {share:.0%} of the estimate",
        "With so few channels most of the NPU's multipliers idle.",
        "recipe.sh --target ethos-u65: its rewrite space_to_depth reads blocks of 2x2 pixels",
        f"Vela {compiled.version}",
        positions(convolutions[:1]),
    )
