"""Reads a whole TFLite file, anybody's, as TensorFlow's schema objects (`ModelT`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import KitError

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError:
    raise KitError("package ai-edge-litert, for the file format, is not installed") from None

TENSOR_TYPES = {
    code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)
}
_OPERATOR_NAMES: dict[int, str] = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


def parse(content: bytes) -> Any:
    """File content -> `ModelT`."""
    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


def operator_name(model: Any, operator: Any) -> str:
    """Name of an operator, e.g. `CONV_2D`."""
    return code_name(model.operatorCodes[operator.opcodeIndex])


def code_name(code: Any) -> str:
    """Name of an operator code."""
    return builtin_name(max(code.builtinCode, code.deprecatedBuiltinCode))


def builtin_name(number: int) -> str:
    """Name of a built-in operator, `BUILTIN 999` of one that is newer than the package."""
    return _OPERATOR_NAMES.get(number, f"BUILTIN {number}")


def operator_counts(model: Any) -> Counter[str]:
    """How often each operator occurs."""
    return Counter(operator_name(model, op) for op in model.subgraphs[0].operators)


def constant(model: Any, index: int) -> NDArray[np.integer[Any]]:
    """Values of an int32 or int64 constant tensor, flat."""
    tensor = model.subgraphs[0].tensors[index]
    dtype = {schema.TensorType.INT32: "<i4", schema.TensorType.INT64: "<i8"}[tensor.type]
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype)


def floats(model: Any, index: int) -> NDArray[np.float32]:
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
    result: NDArray[np.float32] = values.astype(np.float32)
    return result


def is_constant(model: Any, index: int) -> bool:
    """Does the file hold the tensor's values?"""
    data = model.buffers[model.subgraphs[0].tensors[index].buffer].data
    return data is not None and len(data) > 0


def text(name: bytes | str) -> str:
    """A name as text; the parser gives bytes."""
    return name.decode("utf-8") if isinstance(name, bytes) else name
