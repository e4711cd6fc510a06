"""Custom operators: what they are, and which of a target's interpreters know them.

Whatever none knows is an error: the interpreter stops before the first inference.
"""

from __future__ import annotations

from collections.abc import Collection

from analysis.diagnosis import Finding, Placement, Subject
from analysis.graph import Operator

NOTHING = "nothing on this target"
# What compilers for accelerators leave of a graph, by the operator's name.
_COMPILED = {
    "ethos-u": "an Ethos-U, by Arm's Vela",
    "NeutronGraph": "an eIQ Neutron NPU, by NXP's converter",
    "vsi-npu": "VeriSilicon's NPU",
    "edgetpu-custom-op": "Google's Edge TPU",
    "DISPATCH_OP": "a phone's NPU, by LiteRT's compiler",
}
_FLEX = "Flex"  # Begins the names of TensorFlow's own operators.
# Kernels of LiteRT 2.1, `core/kernels/register.cc`; a BSP's interpreter may lack the last two.
_LINUX = frozenset(
    "AudioSpectrogram Mfcc NumericVerify TFLite_Detection_PostProcess aeq.hadamard_rotation "
    "odml.scaled_dot_product_attention".split()
)
# Those of tflite-micro of August 2026, `python_ops_resolver.cc`.
_MICRO = frozenset(
    "CIRCULAR_BUFFER SignalDelay SignalEnergy SignalFftAutoScale SignalFilterBank "
    "SignalFilterBankLog SignalFilterBankSpectralSubtraction SignalFilterBankSquareRoot "
    "SignalFramer SignalIrfft SignalOverlapAdd SignalPCAN SignalRfft SignalStacker SignalWindow "
    "TFLite_Detection_PostProcess".split()
)


def placement_on_linux(op: Operator, cpu_reason: str = "") -> Placement:
    """Of a custom operator that the NPU does not take. cpu_reason: why it does not."""
    output = op.output.name if op.output else ""
    if op.custom in _LINUX:
        reason = cpu_reason or "the delegate has no mapping for it"
        return Placement(op.position, op.name, output, "CPU", reason)
    return Placement(op.position, op.name, output, NOTHING, _meaning(op))


def placement_on_micro(op: Operator) -> Placement:
    """Of a custom operator in TensorFlow Lite Micro."""
    output = op.output.name if op.output else ""
    if op.custom in _MICRO:
        return Placement(op.position, op.name, output, "reference C")
    return Placement(op.position, op.name, output, NOTHING, _meaning(op))


def finding(subject: Subject, left: Collection[int]) -> Finding | None:
    """The error for custom operators at the positions `left`, which nothing runs."""
    found = [op for op in subject.graph.operators if op.position in left]
    if not found:
        return None
    kinds = "; ".join(sorted({f"{op.name}: {_meaning(op)}" for op in found}))
    compiled = any(op.custom in _COMPILED for op in found)
    why = "No interpreter there has a kernel for them: it stops when it loads the file."
    cure = "convert it without custom operators, or build it with recipe.sh"
    if compiled:
        why += " A compiler put its own commands in the place of the network's operators."
        cure = "give the file that it was before the compiler, or build it with recipe.sh"
    return Finding(
        "compiled" if compiled else "custom",
        "error",
        f"custom operators that nothing on this target runs: {len(found)}, {kinds}",
        why,
        cure,
        "the interpreters' lists of custom operators",
        tuple(op.position for op in found),
    )


def _meaning(op: Operator) -> str:
    name = op.custom or ""
    if name in _COMPILED:
        return f"compiled for another board: {_COMPILED[name]}"
    if name.startswith(_FLEX):
        return "TensorFlow's own, for its Flex delegate, which no board has"
    return "a kernel that the file's maker must bring"
