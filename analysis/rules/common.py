"""Rules for every target. Each gives a `Finding`, or None where nothing is to be said."""

from __future__ import annotations

from collections.abc import Callable

from analysis.diagnosis import Finding, Subject, about, positions
from runtime.tflite_graph import Operator, Tensor

Rule = Callable[[Subject], "Finding | None"]
_ABSURD_SCALE = 1e6  # No activation of a network that learned anything.
_PLAIN_TOLERANCE = 1e-3
_REBUILD = "build it with recipe.sh"
_TRIALS = "trials with onnx2tf and TensorFlow's quantizer"


def sigmoid(subject: Subject) -> Finding | None:
    """Scores that leave the graph as such, with no finer steps than 1/256."""
    return about(
        subject.graph.named("LOGISTIC"),
        "sigmoid",
        "warning",
        " in the graph: scores come out of a sigmoid",
        "Its int8 output has the fixed scale 1/256. Below 0.05, where AP is decided, scores have "
        "13 values left.",
        f"{_REBUILD}: files give logits, and only candidates get a sigmoid, in integers",
        "TensorFlow Lite's int8 specification",
    )


def pads(subject: Subject) -> Finding | None:
    """Padding as operators of their own."""
    found = subject.graph.named("PAD")
    copied = sum(tensor.bytes for op in found for tensor in op.outputs)
    peak = subject.memory.peak.operator
    interpreted = subject.board.kind == "microcontroller"
    why = "An NPU's compiler may merge them with what follows, or not."
    if interpreted:
        why = "Each copies its tensor into a larger one that lives beside it."
    if interpreted and peak.startswith("PAD "):
        why += f" {peak} makes the memory's peak."
    return about(
        found,
        "pads",
        "warning" if interpreted else "note",
        f": padding as operators of their own, {copied:,} bytes copied",
        why,
        f"{_REBUILD}: its rewrite rotate_180 leaves none",
        "docs/rewrites.md",
    )


def pads_with_values(subject: Subject) -> Finding | None:
    """Max-pool's padding with the smallest float, which calibration took for a value."""
    found = subject.graph.named("PADV2")
    scale = max((s for op in found for t in op.outputs for s in t.scales), default=0.0)
    ruined = scale > _ABSURD_SCALE
    return about(
        found,
        "padv2",
        "error" if ruined else "warning",
        f": padding with a value, scale {scale:.3g}",
        "Calibration saw the lowest float as an activation: the network answers the same for every "
        "image (AP 0.04 instead of 7.7 in a trial)."
        if ruined
        else "Converters pad a max-pool with the lowest float this way, and calibration takes it "
        "for an activation. Here the scale is sane.",
        f"{_REBUILD}: its rewrites pool without padding operators",
        _TRIALS,
    )


def requantized(subject: Subject) -> Finding | None:
    """QUANTIZE from int8 to int8, which concatenations of unlike scales bring."""
    return about(
        [op for op in subject.graph.named("QUANTIZE") if _both_int8(op)],
        "requantize",
        "warning",
        " from int8 to int8",
        "The quantizer gave tensors that are joined later unlike scales, and rounds a second time "
        "to join them.",
        f"{_REBUILD}: tensors that are joined share one scale from the start",
        _TRIALS,
    )


def _both_int8(op: Operator) -> bool:
    return all(t is not None and t.dtype == "INT8" for t in (op.input(0), op.output))


def floats(subject: Subject) -> Finding | None:
    """Operators that compute in float."""
    return _computing_in(
        "FLOAT32",
        subject,
        "float",
        "that compute in float",
        "CMSIS-NN and Ethos-U run integers alone; floats take reference kernels, or the CPU.",
        "recipe.sh without --quantization float16 or dynamic",
        "CMSIS-NN's and Vela's lists of kernels",
    )


def wide_activations(subject: Subject) -> Finding | None:
    """Int16 activations."""
    return _computing_in(
        "INT16",
        subject,
        "int16",
        "with int16 activations",
        "Every such tensor takes twice the memory of an int8 one.",
        "recipe.sh without --quantization int16x8",
        "README.md, recipe.sh --quantization",
    )


def _computing_in(
    dtype: str, subject: Subject, rule: str, what: str, why: str, cure: str, source: str
) -> Finding | None:
    operators = subject.graph.operators
    found = [op for op in operators if any(t.dtype == dtype for t in op.outputs)]
    if not found:
        return None
    what = f"operators {what}: {len(found)} of {len(operators)}"
    return Finding(rule, "warning", what, why, cure, source, positions(found))


def unknown_input(subject: Subject) -> Finding | None:
    """An input of which the file does not say how a pixel becomes it."""
    found = [t for t in subject.graph.inputs if t.dtype in ("INT8", "UINT8") and t.scales]
    if subject.own or not found or any(_is_plain(tensor) for tensor in found):
        return None
    tensor = found[0]
    return Finding(
        "input",
        "warning",
        f"input `{tensor.name}` has scale {tensor.scales[0]:.6g} and zero point "
        f"{_zero_point(tensor)}: not plainly the pixel",
        "Every pixel must be normalized, divided, rounded and clipped before the network sees it. "
        "With what, and in which order of colours, the file does not say; truncation and "
        "wrap-around go unnoticed there.",
        f"{_REBUILD}: its files take the pixel less 128 and carry the order of colours",
        "README.md, the gate of the stage quantize",
    )


def _is_plain(tensor: Tensor) -> bool:
    """Is the input the pixel, or the pixel as 0 to 1, or as -1 to 1?"""
    smallest = -128 if tensor.dtype == "INT8" else 0
    scale, zero = tensor.scales[0], _zero_point(tensor) - smallest
    ranges = ((1.0, 0), (1 / 255, 0), (1 / 127.5, 127), (1 / 127.5, 128), (1 / 128, 128))
    return any(abs(scale / s - 1) < _PLAIN_TOLERANCE and zero == z for s, z in ranges)


def _zero_point(tensor: Tensor) -> int:
    return tensor.zero_points[0] if tensor.zero_points else 0


def subgraphs(subject: Subject) -> Finding | None:
    """Control flow, which this doctor does not follow."""
    if subject.graph.subgraphs == 1:
        return None
    return Finding(
        "subgraphs",
        "note",
        f"{subject.graph.subgraphs} subgraphs, of which only the first is examined",
        "Operators such as IF and WHILE run the others.",
        "",
        "TensorFlow Lite's schema",
    )


RULES: tuple[Rule, ...] = (
    pads,
    pads_with_values,
    sigmoid,
    requantized,
    floats,
    wide_activations,
    unknown_input,
    subgraphs,
)
