"""Layers that a file computes in strips of rows (`quantize/rewrites/strips.py`), whole again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runtime.tflite_graph import Graph, Operator, Tensor

_PADDING, _SPOILED = -1, -2  # Rows that are none.
_WINDOWS = ("CONV_2D", "MAX_POOL_2D")


def without_strips(graph: Graph) -> list[Operator]:
    """The operators of a graph. Those that compute a tensor in strips are replaced by others that
    compute it at once, where its rows are the same then."""
    operators = list(graph.operators)
    writer = {op.outputs[0].index: op for op in operators if op.outputs}
    for joined in graph.named("CONCATENATION"):
        chains = [_chain(tensor, writer) for tensor in joined.inputs]
        whole = _whole(chains, joined)
        if whole:
            gone = {op.position for chain in chains for op in chain}
            place = operators.index(joined)
            before = [op for op in operators[:place] if op.position not in gone]
            operators = [*before, *whole, *operators[place + 1 :]]
    return operators


def window_padding(op: Operator, source: int, target: int) -> int:
    """Rows or columns of padding before the first of `source`: SAME padding, a square window."""
    kernel = op.constant(1).shape[1] if "CONV" in op.name else op.options.filterHeight
    return max((target - 1) * int(op.options.strideH) + kernel - source, 0) // 2


def _chain(tensor: Tensor | None, writer: Mapping[int, Operator]) -> list[Operator]:
    """What computes a strip, from the slice on."""
    chain: list[Operator] = []
    while tensor is not None and tensor.index in writer:
        chain.insert(0, writer[tensor.index])
        tensor = chain[0].inputs[0] if chain[0].name in (*_WINDOWS, "LEAKY_RELU", "SLICE") else None
    return chain


def _whole(chains: Sequence[Sequence[Operator]], joined: Operator) -> list[Operator]:
    """What replaces strips and their joint; none where it would not compute the same."""
    kinds = [_kind(chain) for chain in chains]
    if joined.options.axis != 1 or not kinds[0] or any(kind != kinds[0] for kind in kinds):
        return []
    source, whole = chains[0][0].inputs[0], []
    assert source is not None
    for op in chains[0]:
        if op.name != "SLICE":
            _, _, *others = op.outputs[0].shape
            rows = -(-source.shape[1] // getattr(op.options, "strideH", 1))
            target = replace(op.outputs[0], shape=(1, rows, *others))
            whole.append(replace(op, inputs=(source, *op.inputs[1:]), outputs=(target,)))
            source = target
    whole[-1] = replace(whole[-1], outputs=joined.outputs)
    rows_there = [row for chain in chains for row in _rows(chain)]
    return whole if rows_there == list(range(source.shape[1])) else []


def _kind(chain: Sequence[Operator]) -> list[object]:
    """The same for all strips of a tensor; nothing where the chain begins with no slice of rows, or
    ends without a window."""
    windows = [op for op in chain if op.name != "SLICE"]
    slices = [(op.inputs[0], op.outputs[0]) for op in chain if op.name == "SLICE"]
    if (
        not windows
        or chain[0].name != "SLICE"
        or any(source is None or source.shape[2:] != part.shape[2:] for source, part in slices)
        or any(getattr(op.options, "padding", 0) != 0 for op in windows)
    ):
        return []
    return [chain[0].inputs[0]] + [
        (op.name, vars(op.options), op.inputs[1:], op.outputs[0].scales, op.outputs[0].zero_points)
        for op in windows
    ]


def _rows(chain: Sequence[Operator]) -> list[int]:
    """Which rows of the whole tensor a strip's are."""
    base = chain[0].inputs[0]
    assert base is not None
    height, rows = base.shape[1], list(range(base.shape[1]))
    for op in chain:
        count = op.outputs[0].shape[1]
        if op.name == "SLICE":
            begin = op.constant(1).integers[1]
            rows = rows[begin : begin + count]
        elif op.name in _WINDOWS:
            source, height = height, -(-height // op.options.strideH)
            rows = _after(op, rows, count, source, height)
    return rows


def _after(op: Operator, rows: Sequence[int], count: int, source: int, target: int) -> list[int]:
    """Which rows a window makes of those rows: the ones that read the same in the whole tensor,
    which has `source` rows before it and `target` behind it."""
    stride = int(op.options.strideH)
    kernel = op.constant(1).shape[1] if op.name == "CONV_2D" else int(op.options.filterHeight)
    here, there = window_padding(op, len(rows), count), window_padding(op, source, target)
    found = []
    for y in range(count):
        top = y * stride - here
        read = [rows[r] if 0 <= r < len(rows) else _PADDING for r in range(top, top + kernel)]
        row, rest = divmod(rows[0] + top + there, stride)
        first = row * stride - there
        wanted = [r if 0 <= r < source else _PADDING for r in range(first, first + kernel)]
        found.append(row if not rest and read == wanted else _SPOILED)
    return found
