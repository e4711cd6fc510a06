"""Helpers on TFLite files as TensorFlow's schema objects (`ModelT`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ALIGNMENT_BYTES = 16

_OPERATOR_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


def parse(content: bytes) -> Any:
    """File content -> `ModelT`."""
    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


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
    """Writes equal vectors once: zero points alone, 8 bytes a channel, are a fifth of a file."""

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
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operator_name(model: Any, operator: Any) -> str:
    """Name of an operator, e.g. `CONV_2D`."""
    return code_name(model.operatorCodes[operator.opcodeIndex])


def code_name(code: Any) -> str:
    """Name of an operator code."""
    return _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def operator_counts(model: Any) -> Counter[str]:
    """How often each operator occurs."""
    return Counter(operator_name(model, op) for op in model.subgraphs[0].operators)


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


def add_constant(model: Any, name: str, values: np.ndarray) -> int:
    """Append an int32 constant tensor; returns its index."""
    return add_tensor(model, name, values.astype("<i4"), schema.TensorType.INT32, None)


def add_tensor(model: Any, name: str, values: np.ndarray, kind: int, quantization: Any) -> int:
    """Append a constant tensor of the schema's type `kind`; returns its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name, list(values.shape), kind
    tensor.quantization = quantization
    tensor.buffer = add_buffer(model, values.tobytes())
    return _append(model, tensor)


def add_activation(model: Any, name: str, shape: tuple[int, ...], like: Any) -> int:
    """Append a tensor with the type and quantization of `like`; returns its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name, list(shape), like.type
    tensor.quantization = like.quantization
    tensor.buffer = 0
    return _append(model, tensor)


def _append(model: Any, tensor: Any) -> int:
    tensors = model.subgraphs[0].tensors
    tensors.append(tensor)
    return len(tensors) - 1


def constant(model: Any, index: int) -> np.ndarray:
    """Values of an int32 or int64 constant tensor, flat."""
    tensor = model.subgraphs[0].tensors[index]
    dtype = {schema.TensorType.INT32: "<i4", schema.TensorType.INT64: "<i8"}[tensor.type]
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype)


def floats(model: Any, index: int) -> np.ndarray:
    """Values of a constant tensor as float32, in its shape; quantized ones dequantized."""
    tensor = model.subgraphs[0].tensors[index]
    data = bytes(model.buffers[tensor.buffer].data)
    shape = [int(n) for n in tensor.shape]
    if tensor.type == schema.TensorType.FLOAT32:
        return np.frombuffer(data, "<f4").reshape(shape)
    dtype = {schema.TensorType.INT8: "<i1", schema.TensorType.INT32: "<i4"}[tensor.type]
    scale = np.asarray(tensor.quantization.scale, np.float64)
    along = [1] * len(shape)
    along[tensor.quantization.quantizedDimension] = len(scale)
    values = np.frombuffer(data, dtype).reshape(shape) * scale.reshape(along)
    result: np.ndarray = values.astype(np.float32)
    return result


def is_constant(model: Any, index: int) -> bool:
    """Does the file hold the tensor's values?"""
    data = model.buffers[model.subgraphs[0].tensors[index].buffer].data
    return data is not None and len(data) > 0


def text(name: bytes | str) -> str:
    """A name as text; the parser gives bytes."""
    return name.decode("utf-8") if isinstance(name, bytes) else name


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
