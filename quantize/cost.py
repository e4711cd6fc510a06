"""What a file costs on a Cortex-M7: `python -m quantize.cost MODEL.tflite`.

Gives the memory it takes (see `quantize.memory`) and predicts the instructions that TensorFlow Lite
Micro with CMSIS-NN's stock kernels executes, node by node, as a linear function of a node's size.
The coefficients (`cortex_m7.json`) were fitted by `benchmarks/fit_cost.py` to instructions counted
in an emulator.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from quantize.memory import Memory, memory
from runtime.cli import Parser, run
from runtime.errors import KitError

COEFFICIENTS = Path(__file__).with_name("cortex_m7.json")
FEATURES = ("call", "pixel", "element", "mac")
_FILE_IDENTIFIER = b"TFL3"
_TYPES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
_WIDE_RANK = 4  # Transposes of more dimensions take the generic path.


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
        elements = math.prod(self.output)
        return 1.0, elements / self.output[-1], float(elements), float(self.macs)


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
    if operator == "AVERAGE_POOL_2D":  # Windows side by side.
        side = read[1] // output[1]
        return f"{operator} {side}x{side}"
    if operator == "CONCATENATION" and read[-1] == output[-1]:
        return f"{operator} of rows"
    if operator == "TRANSPOSE" and len(output) > _WIDE_RANK:
        return f"{operator} wide"
    return operator


def nodes(content: bytes) -> list[Node]:
    """The operators of a file, in order."""
    model = flatbuffer.parse(content)
    return [_node(model, op) for op in model.subgraphs[0].operators]


def _node(model: Any, op: Any) -> Node:
    tensors = model.subgraphs[0].tensors
    output = tensors[op.outputs[0]]
    shape = tuple(int(n) for n in output.shape)
    operator, weight, macs = flatbuffer.operator_name(model, op), [], 0
    if operator in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        weight = [int(n) for n in tensors[op.inputs[1]].shape]
        # The last axis of a depthwise weight is the channels, of which each output has one.
        inputs = 1 if operator == "DEPTHWISE_CONV_2D" else weight[3]
        macs = math.prod(shape) * weight[1] * weight[2] * inputs
    kind = kind_of(operator, [int(n) for n in tensors[op.inputs[0]].shape], weight, shape)
    if output.type != schema.TensorType.INT8:
        kind += f" {_TYPES[output.type].lower()}"
    if operator == "SPLIT":  # Each result is written.
        shape = (*shape[:-1], shape[-1] * len(op.outputs))
    return Node(flatbuffer.text(output.name), kind, shape, macs)


def coefficients() -> dict[str, list[float]]:
    """Instructions a unit of each feature, by kind."""
    found: dict[str, list[float]] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    return found


def predict(node: Node, known: Mapping[str, Sequence[float]]) -> float | None:
    """Instructions of a node; None for a kind that was never measured."""
    if node.kind not in known:
        return None
    return sum(c * f for c, f in zip(known[node.kind], node.features, strict=True))


@dataclass(frozen=True)
class Cost:
    """instructions: of an inference. by_kind: the same by kind. unknown: nodes of kinds that were
    never measured and are not counted."""

    instructions: float
    by_kind: dict[str, float]
    unknown: Counter[str]


def total(content: bytes) -> Cost:
    """The predicted cost of a file."""
    known, by_kind, unknown = coefficients(), Counter[str](), Counter[str]()
    for node in nodes(content):
        instructions = predict(node, known)
        if instructions is None:
            unknown[node.kind] += 1
        else:
            by_kind[node.kind] += instructions  # type: ignore[assignment]
    return Cost(sum(by_kind.values()), dict(by_kind.most_common()), unknown)


def _read(path: Path) -> bytes:
    """Any TFLite file, also one of somebody else's."""
    try:
        content = path.read_bytes()
        if content[4:8] == _FILE_IDENTIFIER:
            nodes(content)
            return content
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError):
        pass
    raise KitError(f"{path}: damaged, or no TFLite file")


def _print_memory(found: Memory) -> None:
    print(f"{found.peak_bytes:10,} bytes of tensors at once, at {found.peak_at}:")
    for name, size in found.peak_tensors:
        print(f"{size:14,}  {name}")
    print(f"{found.flash_bytes:10,} bytes of flash, {found.constant_bytes:,} of them constants")


def main() -> int:
    """Print a table."""
    parser = Parser(prog="python -m quantize.cost", description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--nodes", action="store_true", help="every node, too")
    options = parser.parse_args()
    content = _read(options.model)
    cost, known = total(content), coefficients()
    if options.nodes:
        for node in nodes(content):
            instructions = predict(node, known)
            figure = "unknown" if instructions is None else f"{instructions / 1e6:8.3f} M"
            print(f"{figure}  {node.kind:<20} {'x'.join(map(str, node.output)):<16} {node.name}")
    for kind, instructions in cost.by_kind.items():
        print(f"{instructions / 1e6:8.2f} M {instructions / cost.instructions:6.1%}  {kind}")
    print(f"{cost.instructions / 1e6:8.2f} M instructions on a Cortex-M7, predicted")
    _print_memory(memory(content))
    if cost.unknown:
        print(f"not counted, never measured: {', '.join(sorted(cost.unknown))}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
