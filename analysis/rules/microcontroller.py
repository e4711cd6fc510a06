"""i.MX RT and MCX N: TensorFlow Lite Micro with CMSIS-NN on a Cortex-M."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analysis import cortex_m7
from analysis.arena import need
from analysis.cortex_m7 import Cost
from analysis.diagnosis import (
    Arena,
    Examination,
    Finding,
    Placement,
    Prediction,
    Subject,
    named,
    near_peak,
    positions,
)
from analysis.memory import Moment
from analysis.rules import custom
from analysis.rules.memory import full_flash, memory_lines, misfit
from analysis.rules.tflm_kernels import ABSENT, LIBRARY, is_wide, place
from runtime.engines.arena import MARGIN_PERCENT, reserved_bytes
from runtime.errors import KitError
from runtime.tflite_graph import Graph, Operator

_MATTERS = 0.03  # Share of the instructions that is worth a warning.
_TABLE_INSTRUCTIONS = 5  # An element, of the firmware's LEAKY_RELU; docs/firmware.md.
_NO_BASIS = "instructions were counted on a Cortex-M7 alone"
_COUNTED = "instructions counted on a Cortex-M7, analysis/cortex_m7.json"
# Reference kernels that are dear, and what this kit does instead.
_DEAR = {
    "LEAKY_RELU": "build it with recipe.sh, which pools first, and nanodet firmware, whose kernel "
    f"is a table of about {_TABLE_INSTRUCTIONS} instructions per element; or train it with "
    "./nanodet train --activation relu6, which convolutions fuse",
    "LOGISTIC": "build it with recipe.sh: files give logits",
    "QUANTIZE": "build it with recipe.sh: tensors that are joined share one scale",
    "RESIZE_BILINEAR": "build it with recipe.sh: its rewrites halve_by_mean and narrow_neck leave "
    "the upsampling that the --strides need",
}


@dataclass(frozen=True)
class Deployment:
    """A file on a microcontroller. refusal: TFLite Micro's, or ""."""

    subject: Subject
    placements: tuple[Placement, ...]
    cost: Cost
    arena: Arena
    refusal: str

    @property
    def reserved_without_stem(self) -> int | None:
        """Estimated for `nanodet firmware --split-stem`: what follows the first activation. None
        where there is no stem that it splits off."""
        leaky = self.subject.graph.named("LEAKY_RELU")
        if not self.subject.own or not leaky or not _has_stem(self.subject.graph):
            return None
        rest = self.subject.memory.moments[leaky[0].position + 1 :]
        overhead = self.arena.bytes - self.subject.memory.peak.bytes
        needed = max((moment.bytes for moment in rest), default=0) + overhead
        return _reserved(self.subject, needed)

    def instructions(self, operators: list[Operator]) -> float:
        """Of some operators together, as far as they were ever counted."""
        return sum(self.cost.by_node[op.position] or 0.0 for op in operators)


def examine(subject: Subject) -> Examination:
    """Everything about a file on a microcontroller."""
    cost = cortex_m7.total(subject.graph, subject.board)
    arena, refusal = _arena(subject)
    placements = tuple(place(op, subject.own) for op in subject.graph.operators)
    deployed = Deployment(subject, placements, cost, arena, refusal)
    findings = [finding for rule in RULES for finding in rule(deployed)]
    what = "with the firmware's tables and margin"
    return Examination(
        placements,
        f"kernels of {LIBRARY}",
        tuple(findings),
        _predict(subject, cost),
        arena,
        tuple(memory_lines(subject.board, arena, what, subject.memory.flash_bytes)),
    )


def _reserved(subject: Subject, needed: int) -> int:
    return reserved_bytes(needed, len(subject.graph.named("LEAKY_RELU")))


def _arena(subject: Subject) -> tuple[Arena, str]:
    """Of the tensors at the least, where TFLite Micro cannot run the file; and its refusal."""
    count, refusal = subject.memory.peak.bytes, ""
    basis = "of the tensors alone, without TFLite Micro's own"
    try:
        found = need(subject.path)
        count, basis = found.bytes, f"{found.how}, 1 to 4 % above a Cortex-M's"
    except KitError as error:
        refusal = str(error)
    reserved = _reserved(subject, count)
    fit = subject.board.fits(reserved, subject.memory.flash_bytes)
    return Arena(count, basis, reserved, fit.where), refusal


def _predict(subject: Subject, cost: Cost) -> Prediction:
    ns = cortex_m7.ns_per_instruction(subject.board)
    published_ms = cortex_m7.published_ms(subject.board)
    if not cortex_m7.applies(subject.board):
        return Prediction(None, f"not predicted: {_NO_BASIS}")
    if cost.instructions is None:
        why = "none of its operators was ever counted on a Cortex-M7"
        return Prediction(None, f"not predicted: {why} ({cost.left_out or 'there are none'})")
    counted = f"{cost.instructions / 1e6:.1f} M instructions predicted"
    if cost.left_out:
        counted += f" for the others than {cost.left_out}, which nobody counted,"
    if ns is None or published_ms is None:
        why = "nobody published what an instruction takes there"
        return Prediction(None, f"not predicted: {counted}; {why}")
    return Prediction(
        cost.instructions * ns / 1e6,
        f"{counted} x {ns:.3f} ns, which NXP's published {published_ms:g} ms of its own "
        f"file comes to",
        f"{'of what is counted, ' if cost.left_out else ''}instructions within 5 %; the time of "
        "one is from a single file and depends on the memory that tensors and weights lie in",
        bool(cost.left_out),
    )


def wide_transposes(deployed: Deployment) -> list[Finding]:
    """Int8 transposes of more than 4 dimensions, as five-dimensional channel shuffles give."""
    found = [
        op
        for op in deployed.subject.graph.operators
        if is_wide(op) and op.output and op.output.dtype == "INT8"
    ]
    if not found:
        return []
    counted = deployed.instructions(found)
    return [
        Finding(
            "wide-transpose",
            "error",
            f"{named(found)} of rank {max(op.rank for op in found)}"
            + (f": {counted / 1e6:.1f} M instructions" if counted else ""),
            "CMSIS-NN's kernel takes 4 dimensions. tflite-micro drops the error it returns and "
            "says OK, with the output never written: all that follows is wrong. Libraries of "
            "NXP's that were counted still run reference C there: right, but slow.",
            "build it with recipe.sh: shuffle_by_slices leaves no transpose, and without it "
            "shuffles have rank 3",
            f"{LIBRARY}, kernels/cmsis_nn/transpose.cc",
            positions(found),
        )
    ]


def absent(deployed: Deployment) -> list[Finding]:
    """Operators that TFLite Micro does not have."""
    missing = [p for p in deployed.placements if p.where == ABSENT]
    if not missing:
        return []
    kinds = ", ".join(sorted({p.operator for p in missing}))
    return [
        Finding(
            "absent",
            "error",
            f"operators that TFLite Micro does not have: {len(missing)} ({kinds})",
            "The interpreter finds no registration and stops.",
            "build it with recipe.sh, whose files hold known operators alone",
            f"{LIBRARY}, micro_mutable_op_resolver.h",
            tuple(p.position for p in missing),
        )
    ]


def foreign(deployed: Deployment) -> list[Finding]:
    """Custom operators that TFLite Micro does not have."""
    found = custom.finding(deployed.subject, deployed.placements)
    return [found] if found else []


def refused(deployed: Deployment) -> list[Finding]:
    """A file that TFLite Micro itself does not run."""
    if not deployed.refusal:
        return []
    return [
        Finding(
            "refused",
            "error",
            "TFLite Micro does not run the file on this machine",
            deployed.refusal,
            "build it with recipe.sh, which runs every file in TFLite Micro",
            "package tflite-micro",
        )
    ]


def gathers(deployed: Deployment) -> list[Finding]:
    """Channel shuffles as GATHER."""
    found = deployed.subject.graph.named("GATHER")
    if not found:
        return []
    return [
        Finding(
            "gather",
            "warning",
            f"{named(found)}: reference C, value by value",
            "TFLite Micro refuses some of them, and the cost of the others was never counted.",
            "build it with recipe.sh: shuffle_by_slices leaves none",
            f"{LIBRARY}, kernels/gather.cc",
            positions(found),
        )
    ]


def dear_kernels(deployed: Deployment) -> list[Finding]:
    """Operators in reference C that take many instructions."""
    findings = []
    for name, cure in _DEAR.items():
        found = deployed.subject.graph.named(name)
        instructions = deployed.instructions(found)
        if instructions and _elements(found):
            findings.append(_dear(deployed, found, instructions, cure))
    return findings


def _elements(operators: list[Operator]) -> int:
    return sum(op.output.elements for op in operators if op.output)


def _dear(deployed: Deployment, found: list[Operator], instructions: float, cure: str) -> Finding:
    elements = _elements(found)
    share = instructions / (deployed.cost.instructions or instructions)
    name, severity = found[0].name, "warning" if share >= _MATTERS else "note"
    if name == "LEAKY_RELU" and deployed.subject.own:
        severity = "note"
        spared = instructions - _TABLE_INSTRUCTIONS * elements
        cure = f"nanodet firmware: its kernel is a table and spares about {spared / 1e6:.0f} M"
    return Finding(
        name.lower().replace("_", "-"),
        severity,
        f"{named(found)}: {instructions / 1e6:.1f} M instructions, {share:.1%} of all",
        f"No CMSIS-NN kernel exists: reference C, {instructions / elements:.0f} instructions per "
        "element.",
        cure,
        _COUNTED,
        positions(found),
    )


def arena(deployed: Deployment) -> list[Finding]:
    """Tensors that do not fit the memories on the chip, or none."""
    board, needed = deployed.subject.board, deployed.arena.reserved_bytes
    found = misfit(board, needed)
    if found is None:
        return []
    severity, memories, effect = found
    largest = max((m.free_bytes for m in board.memories if not m.external), default=0)
    cure = f"recipe.sh --budget-arena {largest // 1024}K, fewer --strides, less --input-size"
    rest = deployed.reserved_without_stem
    if severity == "warning" and rest is not None and misfit(board, rest) is None:
        severity = "note"
        cure = f"nanodet firmware --split-stem: about {rest:,} bytes; or {cure}"
    peaks = "; ".join(_describe(moment) for moment in near_peak(deployed.subject.memory)[:2])
    return [
        Finding(
            "arena",
            severity,
            f"arena of {needed:,} bytes with its margin does not fit {memories}",
            f"{effect} Peak of the tensors: {peaks}.",
            cure,
            f"arena of {deployed.arena.bytes:,} bytes {deployed.arena.basis}; nanodet firmware "
            f"adds the tables of LEAKY_RELU and {MARGIN_PERCENT} %",
        )
    ]


def flash(deployed: Deployment) -> list[Finding]:
    """A file that the flash does not hold."""
    free, needed = "what the SDK's linker script leaves free", deployed.subject.memory.flash_bytes
    return full_flash(deployed.subject.board, "file", needed, free)


def _describe(moment: Moment) -> str:
    tensors = " + ".join(f"{size:,} {name}" for name, size in moment.tensors[:3])
    return f"{moment.bytes:,} at {moment.operator} ({tensors})"


def _has_stem(graph: Graph) -> bool:
    """Does it begin with a 3x3 convolution and a max-pool, as `quantize.split` wants them?"""
    convolutions, pools = graph.named("CONV_2D"), graph.named("MAX_POOL_2D")
    if not convolutions or not pools:
        return False
    weight = convolutions[0].input(1)
    same = convolutions[0].halves and pools[0].halves
    return same and weight is not None and weight.shape[1:] == (3, 3, 3)


def uncounted(deployed: Deployment) -> list[Finding]:
    """Operators whose cost nobody measured."""
    if not deployed.cost.unknown:
        return []
    return [
        Finding(
            "uncounted",
            "note",
            f"operators that no predicted latency holds: {deployed.cost.left_out}",
            "Kernels of these kinds were never counted on a Cortex-M7.",
            "",
            _COUNTED,
        )
    ]


RULES: tuple[Callable[[Deployment], list[Finding]], ...] = (
    absent,
    foreign,
    refused,
    wide_transposes,
    gathers,
    arena,
    flash,
    dear_kernels,
    uncounted,
)
