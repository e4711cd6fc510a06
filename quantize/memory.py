"""What a TFLite file takes of a microcontroller's memory, from the file alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer

_WIDTHS = {schema.TensorType.INT16: 2, schema.TensorType.FLOAT32: 4, schema.TensorType.INT32: 4}


@dataclass(frozen=True)
class Memory:
    """peak_bytes: of the tensors that are needed at once, where most are; a planner needs as much
    or more, and TFLite Micro some tens of kilobytes beside. peak_at: the operator that runs then.
    peak_tensors: those tensors with their bytes, largest first. flash_bytes: the file.
    constant_bytes: weights and other constants in it.
    """

    peak_bytes: int
    peak_at: str
    peak_tensors: tuple[tuple[str, int], ...]
    flash_bytes: int
    constant_bytes: int


def memory(content: bytes) -> Memory:
    """The memory of a file. A tensor lives until its last reader, an output to the end."""
    model = flatbuffer.parse(content)
    graph = model.subgraphs[0]
    first = dict.fromkeys(graph.inputs, 0)
    last: dict[int, int] = {}
    for position, op in enumerate(graph.operators):
        for tensor in op.outputs:
            first[tensor] = position
        for tensor in (*op.inputs, *op.outputs):
            last[tensor] = position
    last.update(dict.fromkeys(graph.outputs, len(graph.operators)))
    sizes = {t: _bytes(graph.tensors[t]) for t in first}
    live = [
        {t: n for t, n in sizes.items() if first[t] <= position <= last[t]}
        for position in range(len(graph.operators))
    ]
    peak = max(range(len(live)), key=lambda position: sum(live[position].values()))
    largest = sorted(live[peak].items(), key=lambda item: (-item[1], item[0]))
    op = graph.operators[peak]
    return Memory(
        sum(live[peak].values()),
        f"{flatbuffer.operator_name(model, op)} {peak}",
        tuple((flatbuffer.text(graph.tensors[t].name), n) for t, n in largest),
        len(content),
        sum(len(b.data) for b in model.buffers if b.data is not None),
    )


def _bytes(tensor: Any) -> int:
    return math.prod(int(n) for n in tensor.shape) * _WIDTHS.get(tensor.type, 1)
