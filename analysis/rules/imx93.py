"""i.MX 93: its Ethos-U65, by the answer of Arm's own compiler, Vela."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analysis.diagnosis import (
    Examination,
    Finding,
    Placement,
    Prediction,
    Subject,
    named,
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


@dataclass(frozen=True)
class Patient:
    """A subject and what Vela made of it."""

    subject: Subject
    compiled: Compiled

    @property
    def on_cpu(self) -> list[Operator]:
        """The operators that Vela left to the CPU, found by the names of their outputs."""
        left = self.compiled.cpu
        operators = self.subject.graph.operators
        return [op for op in operators if any(t.name in left for t in op.outputs)]

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Of every operator. Vela leaves custom ones to the CPU, whose interpreter may not know
        them."""
        left = {op.position for op in self.on_cpu}
        return tuple(self._place(op, op.position in left) for op in self.subject.graph.operators)

    def _place(self, op: Operator, on_cpu: bool) -> Placement:
        if op.custom is not None or on_cpu:
            return custom.placed_on_cpu(op, self.reason(op))
        return custom.placed(op, "NPU")

    def reason(self, op: Operator) -> str:
        """Vela's, for an operator that it left to the CPU."""
        found = (self.compiled.cpu.get(tensor.name, "") for tensor in op.outputs)
        return next(filter(None, found), "Vela gives no reason")


def examine(subject: Subject) -> Examination:
    """Compile and report. Raises `KitError` where Vela is missing, or has compiled the file
    already."""
    if subject.graph.named("CUSTOM ethos-u"):
        raise KitError(f"{subject.path}: Vela has compiled it already; give the file it was before")
    try:
        patient = Patient(subject, compile_model(subject.path))
    except Refused as error:
        return _refused(subject, error)
    compiled = patient.compiled
    findings = [finding for rule in RULES if (finding := rule(patient)) is not None]
    return Examination(
        patient.placements,
        f"Vela {compiled.version}'s own answer; NXP keeps a fork of it a BSP",
        tuple(findings),
        _predict(compiled),
        memory=(
            f"Vela plans {compiled.sram_bytes:,} bytes of SRAM, {compiled.dram_bytes:,} of DRAM",
        ),
    )


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
    findings = [
        Finding(
            "refused",
            "error",
            "Vela does not compile the file",
            str(error),
            "build it with recipe.sh --target ethos-u65, whose files Vela compiles",
            "package ethos-u-vela",
        ),
        custom.finding(subject, {op.position for op in _nowhere(subject)}),
    ]
    return Examination(
        tuple(custom.placed_on_cpu(op, reason) for op in subject.graph.operators),
        reason,
        tuple(finding for finding in findings if finding is not None),
        Prediction(None, "not predicted: Vela does not compile the file"),
    )


def _nowhere(subject: Subject) -> list[Operator]:
    """Custom operators that neither the NPU nor the CPU runs."""
    return [
        op
        for op in subject.graph.operators
        if op.custom is not None and not facts_of(op.name).linux
    ]


def foreign(patient: Patient) -> Finding | None:
    """Custom operators that neither the NPU nor the CPU runs."""
    return custom.finding(patient.subject, {op.position for op in _nowhere(patient.subject)})


def left_to_cpu(patient: Patient) -> Finding | None:
    """Operators at which the graph is cut."""
    nowhere = {tensor.name for op in _nowhere(patient.subject) for tensor in op.outputs}
    left = {name: why for name, why in patient.compiled.cpu.items() if name not in nowhere}
    found = [op for op in patient.on_cpu if any(t.name in left for t in op.outputs)]
    if not left:
        return None
    reasons = sorted({f"{op.name}: {patient.reason(op)}" for op in found})
    known = {tensor.name for op in found for tensor in op.outputs}
    reasons += [
        f"{name}, which the file does not name: {left[name]}"
        for name in sorted(left.keys() - known)
    ]
    spared = {op.name: facts_of(op.name).cure for op in found}
    cures = sorted(f"{name}: {cure}" for name, cure in spared.items() if cure)
    return Finding(
        "cpu",
        "warning",
        f"operators left to the CPU: {len(left)} of {len(patient.subject.graph.operators)}",
        f"{'; '.join(reasons)}. Each cuts the graph, and tensors travel there and back.",
        f"build it with recipe.sh --target ethos-u65; {'; '.join(cures)}".rstrip("; "),
        f"Vela {patient.compiled.version}",
        positions(found),
    )


def wide_transposes(patient: Patient) -> Finding | None:
    """Transposes of more than 4 dimensions, which depend on the compiler's version."""
    found = [op for op in patient.subject.graph.named("TRANSPOSE") if op.rank > _RANK]
    if not found:
        return None
    left = {op.position for op in patient.on_cpu}
    taken = sum(op.position not in left for op in found)
    return Finding(
        "wide-transpose",
        "warning",
        f"{named(found)} of rank {max(op.rank for op in found)}",
        f"Vela {patient.compiled.version} takes {taken} of them, others leave tensors of more than "
        "4 dimensions to the CPU; NXP's fork in a BSP may be one. Microcontrollers give wrong "
        "values.",
        "build it with recipe.sh: shuffle_by_slices leaves no transpose",
        f"Vela {patient.compiled.version}, and earlier releases' lists of operators",
        positions(found),
    )


def shallow_stem(patient: Patient) -> Finding | None:
    """A first convolution that keeps few of the NPU's multipliers busy."""
    convolutions = patient.subject.graph.named("CONV_2D")
    layers = [layer for layer in patient.compiled.layers if layer.operator == "Conv2D"]
    read = convolutions[0].input(0) if convolutions else None
    if not layers or read is None or not patient.compiled.latency_ms:
        return None
    channels = read.shape[-1] if read.shape else 0
    share = layers[0].latency_ms / patient.compiled.latency_ms
    if channels > _COLOURS or share < _MATTERS:
        return None
    return Finding(
        "stem",
        "note",
        f"the first convolution, of {channels} channels, takes {share:.0%} of the estimate",
        "With so few channels most of the NPU's multipliers idle.",
        "recipe.sh --target ethos-u65: its rewrite space_to_depth reads blocks of 2x2 pixels",
        f"Vela {patient.compiled.version}",
        positions(convolutions[:1]),
    )


RULES: tuple[Callable[[Patient], Finding | None], ...] = (
    foreign,
    left_to_cpu,
    wide_transposes,
    shallow_stem,
)
