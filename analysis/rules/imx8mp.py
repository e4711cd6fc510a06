"""i.MX 8M Plus: its NPU through `vx_delegate`.

Which operators the delegate hands over is as in VeriSilicon's `op_map.cc` of January 2025. What
runs them is as VeriSilicon's simulator of August 2025 placed whole files for this core: NN cores
multiply, TP cores move and look up, a shader does the rest. See `runtime.operators`. Nothing of it
was seen on a board, and the driver of a BSP may decide otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

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
from runtime.tflite_graph import Graph, Operator, Tensor

NN, TP, SHADER, NONE = "NN cores", "TP cores", "shader", "no unit"
_SOURCE = "VeriSilicon's tflite-vx-delegate, op_map.cc of January 2025"
_SIMULATOR = "VeriSilicon's simulator of August 2025 for this core; not seen on a board"
_BUILD = "build it with recipe.sh --target imx8mp-npu"
_UNITS = {"NN": NN, "TP": TP, "shader": SHADER, "no copy": NONE}
_COPIES = ("SLICE", "SPLIT", "TRANSPOSE")
_RANK = 4
_RELU6 = schema.ActivationFunctionType.RELU6
_SIX = 6 / 255  # The scale of [0, 6].
_LOWEST = {"INT8": -128, "UINT8": 0}
_ROUNDED = 1e-6  # A product of two scales in float32 may be off by so much of itself.


def examine(subject: Subject) -> Examination:
    """What can be said without the board."""
    placements = place(subject.graph)
    findings = (
        custom.finding(subject, placements),
        bias_scales(subject),
        left_to_cpu(placements),
        wide_transposes(subject),
        per_channel(subject),
        clipped_elsewhere(subject),
        leaky_relus(subject, placements),
        copies(subject, placements),
        signed_ends(subject),
    )
    return Examination(
        placements,
        f"handed over as in {_SOURCE}; units as in {_SIMULATOR}. The BSP's may differ, and what "
        "its driver splits or adds is not known",
        tuple(finding for finding in findings if finding is not None),
        _predict(subject),
    )


def place(graph: Graph) -> tuple[Placement, ...]:
    """What runs each operator."""
    maker = {tensor.index: op for op in graph.operators for tensor in op.outputs}
    return tuple(_placement(op, maker) for op in graph.operators)


def _placement(op: Operator, maker: dict[int, Operator]) -> Placement:
    facts = facts_of(op.name)
    if not facts.vx:
        return custom.placed_on_cpu(op, "the delegate has no mapping for it")
    if facts.weights and _is_hybrid(op):
        return custom.placed(op, "CPU", "weights and activations are of different types")
    if op.output is None or op.output.dtype not in _LOWEST or facts.vx == "yes":
        return custom.placed(op, "NPU", "on which unit is not known")
    if facts.vx == "fused":
        return _activation(op, maker)
    if _is_per_channel(op):
        return custom.placed(op, SHADER, "one scale per channel")
    if op.name == "AVERAGE_POOL_2D" and _is_mean_of_four(op):
        return custom.placed(op, NN)
    beside = "and the TP cores for its ReLU6" if _clips_elsewhere(op) else ""
    return custom.placed(op, _UNITS[facts.vx], beside)


def _activation(op: Operator, maker: dict[int, Operator]) -> Placement:
    """A RELU or RELU6 of its own."""
    source = maker.get(op.inputs[0].index) if op.inputs and op.inputs[0] else None
    if source is None or not facts_of(source.name).weights:
        return custom.placed(op, "NPU", "on which unit is not known")
    if _clips_elsewhere(op):
        return custom.placed(op, TP, "its output is not exactly [0, 6]")
    return custom.placed(op, NONE, "fused")


def _is_hybrid(op: Operator) -> bool:
    return len({tensor.dtype for tensor in op.inputs[:2] if tensor}) > 1


def _is_per_channel(op: Operator) -> bool:
    weight = op.input(1)
    return bool(facts_of(op.name).weights) and weight is not None and len(weight.scales) > 1


def _is_mean_of_four(op: Operator) -> bool:
    """Was it seen on the NN cores? A window of 4x4 was not."""
    names = ("filterHeight", "filterWidth", "strideH", "strideW")
    return [getattr(op.options, name, 0) for name in names] == [2, 2, 2, 2]


def _clips_elsewhere(op: Operator) -> bool:
    """Has it a ReLU6 whose output is not exactly [0, 6]?"""
    clips = op.name == "RELU6" or getattr(op.options, "fusedActivationFunction", 0) == _RELU6
    return clips and op.output is not None and not _is_six(op.output)


def _is_six(tensor: Tensor) -> bool:
    scale = tensor.scales[0] if tensor.scales else 0.0
    zero = tensor.zero_points[0] if tensor.zero_points else 0
    return abs(scale / _SIX - 1) <= _ROUNDED and zero == _LOWEST.get(tensor.dtype)


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
        f"{_BUILD}, in int8",
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
        f"{_BUILD}, whose files have no transpose",
        "reported of this NPU, not measured by this kit",
    )


def per_channel(subject: Subject) -> Finding | None:
    """Weights with one scale per channel."""
    layers = [op for op in subject.graph.operators if facts_of(op.name).weights]
    found = [op for op in layers if _is_per_channel(op)]
    if not found:
        return None
    return Finding(
        "per-channel",
        "warning",
        f"weights with one scale per channel: {len(found)} of {len(layers)} layers",
        "Each becomes a program of the shader, and the NN cores idle. Layers with one scale per "
        "tensor run on the NN cores; users report them much faster, by how much is not known "
        "without the board.",
        f"{_BUILD}, or recipe.sh --quantization int8-per-tensor",
        _SIMULATOR,
        positions(found),
    )


def bias_scales(subject: Subject) -> Finding | None:
    """Biases of another scale than the product's."""
    found = [op for op in subject.graph.operators if facts_of(op.name).weights and _is_odd(op)]
    if not found:
        return None
    return Finding(
        "bias-scale",
        "error",
        f"biases whose scale is not input scale x weight scale: {len(found)}",
        "The driver refuses such a convolution (`Check node CONV2D fail`), and the graph with it. "
        "LiteRT and TensorFlow Lite Micro do not look.",
        "build it with recipe.sh, which writes the product",
        _SIMULATOR,
        positions(found),
    )


def _is_odd(op: Operator) -> bool:
    source, weight, bias = (op.input(place) for place in range(3))
    if not (source and weight and bias and source.scales and weight.scales and bias.scales):
        return False
    if len(bias.scales) != len(weight.scales):
        return True
    wanted = source.scales[0] * np.array(weight.scales)
    return not np.allclose(bias.scales, wanted, rtol=_ROUNDED, atol=0)


def clipped_elsewhere(subject: Subject) -> Finding | None:
    """ReLU6 that no convolution fuses."""
    found = [op for op in subject.graph.operators if _clips_elsewhere(op)]
    if not found:
        return None
    return Finding(
        "relu6",
        "warning",
        f"ReLU6 whose output is not exactly [0, 6]: {len(found)}",
        "A convolution fuses it only with scale 6/255 and the smallest zero point; each other one "
        "is work of its own on the TP cores.",
        "./nanodet train --activation relu, which fuses with any range",
        _SIMULATOR,
        positions(found),
    )


def leaky_relus(subject: Subject, placements: Sequence[Placement]) -> Finding | None:
    """An activation that no convolution fuses."""
    found = subject.graph.named("LEAKY_RELU")
    moved = _moved(found)
    work = _moved(subject.graph.operators[p.position] for p in placements if p.where == TP)
    return about(
        found,
        "leaky-relu",
        "note",
        f": {moved:,} bytes read and written, {moved / max(work, 1):.0%} of what the TP cores move",
        "It is never fused with a convolution, and ReLU always is. The simulator gave it 36% of "
        "its estimate of m-0.5x with all strides and one scale per tensor, which is no latency.",
        "./nanodet train --activation relu",
        _SIMULATOR,
    )


def copies(subject: Subject, placements: Sequence[Placement]) -> Finding | None:
    """Operators that move values and compute none."""
    there = {p.position for p in placements if p.where == TP}
    found = [op for op in subject.graph.operators if op.name in _COPIES and op.position in there]
    if not found:
        return None
    kinds = sorted({op.name for op in found})
    counted = ", ".join(f"{sum(op.name == kind for op in found)} {kind}" for kind in kinds)
    count = sum(len(op.outputs) for op in found)
    return Finding(
        "copies",
        "note",
        f"copies on the TP cores: {count} ({counted}), {_written(found):,} bytes",
        "Each output of theirs is a copy. The simulator gave the 65 slices of m-0.5x with all "
        "strides 11% of its estimate, which is no latency.",
        f"{_BUILD}: its rewrite shuffle_by_convolutions leaves none",
        _SIMULATOR,
        positions(found),
    )


def signed_ends(subject: Subject) -> Finding | None:
    """Int8 inputs and outputs, which the NPU converts."""
    graph = subject.graph
    found = [tensor for tensor in (*graph.inputs, *graph.outputs) if tensor.dtype == "INT8"]
    if not found:
        return None
    return Finding(
        "int8-ends",
        "note",
        f"int8 inputs and outputs: {len(found)}, {sum(t.bytes for t in found):,} bytes",
        "Each is converted to or from uint8 by the shader, 2.5% of the simulator's estimate of "
        "m-0.5x. Files of uint8 have no such copies, and this kit makes none.",
        "",
        _SIMULATOR,
    )


def _moved(operators: Iterable[Operator]) -> int:
    """Bytes of activations that operators read and write."""
    chosen = list(operators)
    read = (t for op in chosen for t in op.inputs if t is not None and not t.is_constant)
    return sum(tensor.bytes for tensor in read) + _written(chosen)


def _written(operators: Collection[Operator]) -> int:
    return sum(tensor.bytes for op in operators for tensor in op.outputs)
