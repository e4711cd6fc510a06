"""The instructions that TensorFlow Lite Micro with CMSIS-NN's stock kernels executes on a
Cortex-M7, predicted node by node as a linear function of a node's size.

The coefficients (`cortex_m7.json`) were fitted by `benchmarks/fit_cost.py` to instructions counted
in an emulator.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.benchmark.board import Board
from runtime.operators import OperatorFacts, facts_of
from runtime.tflite_graph import Graph, Operator, Tensor

COEFFICIENTS = Path(__file__).with_name("cortex_m7.json")
FEATURES = ("call", "pixel", "element", "mac")
# The model whose latency NXP publishes, as boards' profiles call it, and its instructions, counted
# in an emulator.
PUBLISHED_MODEL = "NXP's NanoDet-m-0.5x, stride 32, int8"
PUBLISHED_INSTRUCTIONS = 396_980_000
_WIDE_RANK = 4  # Transposes of more dimensions take the generic path.
_IMAGE_RANK = 4


@dataclass(frozen=True)
class Node:
    """One operator as the model of costs sees it.

    kind: the operator, for convolutions and transposes with what makes them cheap or dear.
    output: its shape. macs: multiplications of a convolution, otherwise 0.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    macs: int

    @property
    def features(self) -> tuple[float, ...]:
        """As `FEATURES`; a pixel has all channels, an element is one value of the output."""
        pixels, elements = math.prod(self.output[:-1]), math.prod(self.output)
        return 1.0, float(pixels), float(elements), float(self.macs)


def kind_of(
    operator: str, read: Sequence[int], weight: Sequence[int], output: Sequence[int]
) -> str:
    """The kind whose coefficients hold.

    read, output: shapes of the first input and of the output. weight: (out, height, width, in),
    or empty.
    """
    if operator == "CONV_2D" and weight[3] < read[-1]:
        return f"{operator} grouped" if weight[3] == 1 else f"{operator} in {read[-1]} groups"
    if weight:
        return f"{operator} {weight[1]}x{weight[2]}"
    cost = facts_of(operator).cost
    if cost == "window":  # Windows side by side.
        side = read[1] // max(output[1], 1)
        return f"{operator} {side}x{side}"
    if cost == "rows" and read[-1:] == output[-1:]:
        return f"{operator} of rows"
    if cost == "rank" and len(output) > _WIDE_RANK:
        return f"{operator} wide"
    return operator


def nodes(graph: Graph) -> list[Node]:
    """The operators of a graph, in order."""
    return [_node(op) for op in graph.operators]


def _node(op: Operator) -> Node:
    """Of a kind that was never measured where the operator makes no sense, or is not int8."""
    made, read = op.output, op.input(1 if op.name == "SPLIT" else 0)
    facts = facts_of(op.name)
    weight = op.input(1) if facts.is_convolution else None
    images = (read, weight, made) if facts.is_convolution else (read, made)
    if made is None or read is None:
        return Node("", f"{op.name} without tensors", (), 0)
    if not made.elements:
        return Node(made.name, f"{op.name} of size 0", made.shape, 0)
    needs_images = facts.is_convolution or facts.cost == "window"
    if needs_images and not all(map(_is_image, images)):
        return Node(made.name, f"{op.name} of no image", made.shape, 0)
    kind = kind_of(op.name, read.shape, weight.shape if weight else (), made.shape)
    types = dict.fromkeys(t.dtype.lower() for t in (made, read, weight) if t)
    kind = " ".join((kind, *(name for name in types if name != "int8")))
    shape = made.shape
    if op.name == "SPLIT":  # Each result is written.
        shape = (*shape[:-1], *(n * len(op.outputs) for n in shape[-1:]))
    return Node(made.name, kind, shape, _macs(facts, weight, made))


def _macs(facts: OperatorFacts, weight: Tensor | None, made: Tensor) -> int:
    if weight is None:
        return 0
    # The last axis of a depthwise weight is the channels, of which each output has one.
    inputs = 1 if facts.weights == "depthwise" else weight.shape[3]
    return made.elements * weight.shape[1] * weight.shape[2] * inputs


def _is_image(tensor: Tensor | None) -> bool:
    return tensor is not None and len(tensor.shape) == _IMAGE_RANK


def coefficients() -> dict[str, list[float]]:
    """Instructions a unit of each feature, by kind."""
    found: dict[str, list[float]] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    return found


def predict(node: Node, known: Mapping[str, Sequence[float]]) -> float | None:
    """Instructions of a node; None for a kind that was never measured."""
    if node.kind not in known:
        return None
    return sum(c * f for c, f in zip(known[node.kind], node.features))


@dataclass(frozen=True)
class Cost:
    """instructions: of an inference, None where no node is of a kind that was ever measured; a
    lower bound where some are not. by_node: the same a node, None for a kind that was never
    measured. by_kind: the same by kind. unknown: nodes that are not counted, by kind."""

    instructions: float | None
    by_node: tuple[float | None, ...]
    by_kind: dict[str, float]
    unknown: Counter[str]

    @property
    def left_out(self) -> str:
        """The nodes that are not counted: `1 GATHER, 2 RELU float32`; "" where all are."""
        return ", ".join(f"{count} {kind}" for kind, count in sorted(self.unknown.items()))


def applies(board: Board) -> bool:
    """Whether instructions that were counted on a Cortex-M7 are a board's."""
    return board.cores.kind == "Cortex-M7"


def total(graph: Graph, board: Board | None = None) -> Cost:
    """The predicted cost of a graph. board: of another core, nothing is known of any operator."""
    if board is not None and not applies(board):
        return Cost(None, (None,) * len(graph.operators), {}, Counter())
    known, found = coefficients(), nodes(graph)
    return add_up([node.kind for node in found], [predict(node, known) for node in found])


def add_up(kinds: Sequence[str], by_node: Sequence[float | None]) -> Cost:
    """The cost of nodes together. kinds: of each."""
    by_kind, unknown = Counter[str](), Counter[str]()
    for kind, instructions in zip(kinds, by_node, strict=True):
        if instructions is None:
            unknown[kind] += 1
        else:
            by_kind[kind] += instructions  # type: ignore[assignment]
    total = sum(by_kind.values()) if by_kind else None
    return Cost(total, tuple(by_node), dict(by_kind.most_common()), unknown)


def published_ms(board: Board) -> float | None:
    """NXP's published latency of its own file on a microcontroller. None where the board's profile
    has none."""
    if board.kind != "microcontroller":
        return None
    return next((p.latency_ms for p in board.published if p.model == PUBLISHED_MODEL), None)


def ns_per_instruction(board: Board) -> float | None:
    """Nanoseconds an instruction: `published_ms` over that file's instructions."""
    published = published_ms(board)
    return None if published is None else published * 1e6 / PUBLISHED_INSTRUCTIONS
