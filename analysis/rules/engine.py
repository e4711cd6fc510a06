"""i.MX RT and MCX N: the kit's own engine on a Cortex-M."""

from __future__ import annotations

from analysis import cortex_m7
from analysis.diagnosis import Arena, Examination, Finding, Placement, Prediction, Subject
from analysis.engine import Deployed, every
from analysis.rules.memory import full_flash, memory_lines, misfit
from firmware.engine.weights import PROGRAM_BYTES, beside_program, fit

ENGINE = "the kit's engine"
NOWHERE = "not on this engine"
_BASIS = "firmware/engine/reader.py"
_COUNTED = "instructions counted on a Cortex-M7, analysis/engine_cost.csv"


def examine(subject: Subject) -> Examination:
    """Everything about a file on the engine."""
    forms = every(subject.graph.content, str(subject.path))
    where = NOWHERE if isinstance(forms, str) else ENGINE
    placements = tuple(
        Placement(op.position, op.name, op.output.name if op.output else "", where)
        for op in subject.graph.operators
    )
    if isinstance(forms, str):
        cure = "--engine tflm; or build it with recipe.sh --target mcu"
        why = "The engine plans files of this kit, of whose operators it has all kernels."
        finding = Finding("refused", "error", forms, why, cure, _BASIS)
        prediction = Prediction(None, f"not predicted: {forms}")
        return Examination(placements, _BASIS, (finding,), prediction)
    board = beside_program(subject.board)
    weights, fitting = fit(board, lambda form: forms[form].sizes)
    found, (needed, flash) = forms[weights], forms[weights].sizes
    arena = Arena(needed, "exactly, by the plan", needed, fitting.where)
    free = f"all but {PROGRAM_BYTES:,} bytes for the program around it"
    findings = full_flash(board, "engine with its weights", flash, free)
    wrong = misfit(board, needed)
    if wrong is not None:
        what = f"arena of {needed:,} bytes does not fit {wrong[1]}"
        cure = "recipe.sh with fewer --strides, less --input-size"
        findings.append(Finding("arena", wrong[0], what, wrong[2], cure, "the plan"))
    return Examination(
        placements,
        _BASIS,
        tuple(findings),
        _predict(subject, found),
        arena,
        (
            *memory_lines(board, arena, "reserved, all of which are used", flash),
            f"weights of 1x1 convolutions are {weights} in flash",
            f"{found.read_bytes:,} bytes of weights are read from flash in an inference",
        ),
        flash,
    )


def _predict(subject: Subject, found: Deployed) -> Prediction:
    board, cost = subject.board, found.cost
    if not cortex_m7.applies(board):
        return Prediction(None, "not predicted: instructions were counted on a Cortex-M7 alone")
    if cost.instructions is None:
        return Prediction(None, f"not predicted: no kernel was ever counted ({cost.left_out})")
    counted = f"{cost.instructions / 1e6:.1f} M instructions predicted ({_COUNTED})"
    if cost.left_out:
        counted += f" for the others than {cost.left_out}, which nobody counted,"
    ns = cortex_m7.ns_per_instruction(board)
    if ns is None:
        why = "nobody published what an instruction takes there"
        return Prediction(None, f"not predicted: {counted}; {why}")
    return Prediction(
        cost.instructions * ns / 1e6,
        f"{counted} x {ns:.3f} ns, as an instruction of TensorFlow Lite Micro takes by NXP's "
        "published latency",
        "instructions within 3 %; the engine's instructions may take more or less time than those "
        "of TensorFlow Lite Micro, and nobody measured them on a board",
        bool(cost.left_out),
    )
