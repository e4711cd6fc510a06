"""The one writer of TFLite files: changes the schema's objects (`ModelT`), which
`runtime.tflite_graph` shows, and packs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from runtime.operators import facts_of
from runtime.tflite_schema import FILE_IDENTIFIER

ALIGNMENT_BYTES = 16


class _AlignedBuffer(schema.BufferT):
    """A buffer whose data starts at a multiple of 16 bytes, as the schema demands.

    The Python packer ignores `force_align`; kernels on devices that trap unaligned loads do not.
    """

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (overrides)
        content = bytes(self.data) if self.data is not None else b""
        vector = None
        if content:
            builder.StartVector(1, len(content), ALIGNMENT_BYTES)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors once: zero points alone, 8 bytes per channel, are a fifth of a file."""

    def __init__(self, initial_size: int) -> None:
        super().__init__(initial_size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802 (overrides)
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def serialize(model: Any) -> bytes:
    """`ModelT` -> file content."""
    for buffer in model.buffers:
        buffer.__class__ = _AlignedBuffer
    builder = _SharingBuilder(1 << 20)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def operator_code(model: Any, name: str) -> int:
    """Index of the operator code `name`, added to the model if it is not there."""
    builtin = getattr(schema.BuiltinOperator, name)
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def add_buffer(model: Any, content: bytes) -> int:
    """Append a buffer; returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def operator(
    model: Any, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any
) -> Any:
    """A new operator, CONV_2D or one whose name is one word, such as SLICE, for the list of
    operators. inputs, outputs: numbers of tensors. options: as the schema's object names them."""
    op = schema.OperatorT()
    op.opcodeIndex = operator_code(model, name)
    if facts_of(name).int8:
        model.operatorCodes[op.opcodeIndex].version = int(facts_of(name).int8)
    op.inputs, op.outputs = list(inputs), list(outputs)
    kind = f"{name.title().replace('_', '')}Options"
    op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
    op.builtinOptions = getattr(schema, f"{kind}T")(**options)
    return op


class Lists:
    """Lists of whole numbers as constants of a model; equal ones are shared."""

    def __init__(self, model: Any, label: str) -> None:
        self._model, self._label = model, label
        self._indices: dict[tuple[int, ...], int] = {}

    def index(self, values: tuple[int, ...]) -> int:
        """Number of the tensor that holds them."""
        if values not in self._indices:
            name = f"{self._label}_" + "x".join(str(n) for n in values)
            self._indices[values] = add_constant(self._model, name, np.array(values))
        return self._indices[values]


def add_constant(model: Any, name: str, values: np.ndarray) -> int:
    """Append an int32 constant tensor; returns its index."""
    return add_tensor(model, name, values.astype("<i4"), "INT32", None)


def add_tensor(model: Any, name: str, values: np.ndarray, dtype: str, quantization: Any) -> int:
    """Append a constant tensor; dtype: the schema's name. Returns its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name, list(values.shape)
    tensor.type, tensor.quantization = getattr(schema.TensorType, dtype), quantization
    tensor.buffer = add_buffer(model, values.tobytes())
    return _append(model, tensor)


def add_activation(model: Any, name: str, shape: Sequence[int], like: int) -> int:
    """Append a tensor with the type and quantization of tensor `like`; returns its index."""
    tensor, source = schema.TensorT(), model.subgraphs[0].tensors[like]
    tensor.name, tensor.shape, tensor.type = name, list(shape), source.type
    tensor.quantization, tensor.buffer = source.quantization, 0
    return _append(model, tensor)


def _append(model: Any, tensor: Any) -> int:
    tensors = model.subgraphs[0].tensors
    tensors.append(tensor)
    return len(tensors) - 1


def drop_unused(model: Any) -> None:
    """Remove tensors, buffers and operator codes that nothing refers to."""
    graph = model.subgraphs[0]
    used = {i for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0}
    used |= {*graph.inputs, *graph.outputs}
    place = _keep(graph, "tensors", used)
    graph.inputs = [place[i] for i in graph.inputs]
    graph.outputs = [place[i] for i in graph.outputs]
    for op in graph.operators:
        op.inputs = [place[i] if i >= 0 else -1 for i in op.inputs]
        op.outputs = [place[i] for i in op.outputs]
    for definition in model.signatureDefs or []:
        for entry in (*definition.inputs, *definition.outputs):
            entry.tensorIndex = place[entry.tensorIndex]

    place = _keep(
        model,
        "buffers",
        {0, *(t.buffer for t in graph.tensors), *(m.buffer for m in model.metadata)},
    )
    for holder in (*graph.tensors, *model.metadata):
        holder.buffer = place[holder.buffer]

    place = _keep(model, "operatorCodes", {op.opcodeIndex for op in graph.operators})
    for op in graph.operators:
        op.opcodeIndex = place[op.opcodeIndex]


def _keep(holder: Any, field: str, used: set[int]) -> dict[int, int]:
    """Keep only the items `used` of a list; returns new index by old index."""
    items, order = getattr(holder, field), sorted(used)
    setattr(holder, field, [items[i] for i in order])
    return {old: new for new, old in enumerate(order)}
