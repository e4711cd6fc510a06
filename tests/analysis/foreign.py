"""Files as other makers write them: sound to LiteRT, unlike anything that this kit writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from quantize import flatbuffer
from tests.analysis.tflite import image

Change = Callable[[Any], None]


class _OldSignature(schema.SignatureDefT):
    """Converters before 2.6 wrote a field `key`, number 3, which the schema has dropped."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (overrides)
        key, method = builder.CreateString("serving_default"), builder.CreateString("main")
        packed = [[m.Pack(builder) for m in maps] for maps in (self.inputs, self.outputs)]
        vectors = []
        for offsets in packed:
            builder.StartVector(4, len(offsets), 4)
            for offset in reversed(offsets):
                builder.PrependUOffsetTRelative(offset)
            vectors.append(builder.EndVector())
        builder.StartObject(5)
        for slot, offset in enumerate((*vectors, key, method)):
            builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        return int(builder.EndObject())


class _HalfAligned(flatbuffers.Builder):
    """Puts numbers of 8 bytes in vectors at odd multiples of 4."""

    def StartVector(self, size: int, count: int, alignment: int) -> int:  # noqa: N802 (overrides)
        started = super().StartVector(size, count, min(alignment, 4))
        if size == 8 and self.Offset() % 8 == 0:
            self.Pad(4)
        self.minalign = 8  # Of the whole file, so that the above holds.
        return int(started)


def plain(operator: str = "RELU", dtype: str = "INT8") -> Any:
    """The schema's object of a file with one operator, signature and all."""
    made = image(dtype=dtype).step(operator, 1, 8, 8, 4, dtype=dtype, scale=1.0, zero=-128)
    return made.model


def signed(model: Any, kind: type = schema.SignatureDefT) -> Any:
    """With a signature."""
    signature = kind()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    for name, index in (("inputs", 0), ("outputs", 1)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        setattr(signature, name, [entry])
    model.signatureDefs = [signature]
    return model


def _float() -> Any:
    model = plain(dtype="FLOAT32")
    for tensor in model.subgraphs[0].tensors:
        tensor.quantization = None
    return model


def _changed(change: Change) -> bytes:
    model = _float()
    change(model)
    return flatbuffer.serialize(model)


def old_signature() -> bytes:
    return flatbuffer.serialize(signed(plain(), _OldSignature))


def half_aligned() -> bytes:
    """Zero points at 4 modulo 8."""
    builder = _HalfAligned(1024)
    builder.Finish(plain().Pack(builder), b"TFL3")
    content = bytes(builder.Output())
    zero = np.int64(-128).tobytes()
    assert content.index(zero) % 8 == 4
    return content


def _packed(model: Any) -> bytes:
    """As the schema's own objects write it."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _with_tail(model: Any, holder: Any, fields: tuple[str, str], tail: bytes) -> bytes:
    """`tail` behind the tables, where the fields of `holder` (its place, its size) say."""
    for name, number in zip(fields, (2, len(tail)), strict=True):
        setattr(holder, name, number)
    place = -(-len(_packed(model)) // 16) * 16
    setattr(holder, fields[0], place)
    return _packed(model).ljust(place, b"\0") + tail


def values_behind_the_tables() -> bytes:
    """As in files of more than 2 GB: the constant lies after the flatbuffer."""
    model = _float()
    graph = model.subgraphs[0]
    constant = schema.TensorT()
    constant.name, constant.shape, constant.type = "c", [4], schema.TensorType.FLOAT32
    constant.buffer = flatbuffer.add_buffer(model, b"")
    graph.tensors.append(constant)
    (op,) = graph.operators
    op.opcodeIndex, op.inputs = flatbuffer.operator_code(model, "ADD"), [0, 2]
    op.builtinOptionsType = schema.BuiltinOptions.AddOptions
    op.builtinOptions = schema.AddOptionsT()
    buffer = model.buffers[constant.buffer]
    buffer.data = None
    return _with_tail(model, buffer, ("offset", "size"), np.arange(4, dtype="<f4").tobytes())


def large_custom_options() -> bytes:
    """A custom operator whose options lie behind the tables."""
    model = plain()
    code, graph = model.operatorCodes[0], model.subgraphs[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "NumericVerify"
    reference = schema.TensorT()
    reference.name, reference.shape = "reference", [1, 8, 8, 4]
    graph.tensors.append(reference)
    graph.tensors[1].type, graph.tensors[1].quantization = schema.TensorType.FLOAT32, None
    graph.inputs, (op,) = [0, 2], graph.operators
    op.inputs = [0, 2]
    options = flexbuffers.Dumps({"tolerance": 5.0, "log_if_failed": False})
    fields = "largeCustomOptionsOffset", "largeCustomOptionsSize"
    return _with_tail(model, op, fields, bytes(options))


def force_defaults() -> bytes:
    """Fields that have their default are written all the same."""
    builder = flatbuffers.Builder(1024)
    builder.ForceDefaults(True)
    builder.Finish(signed(_float()).Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _no_operators(model: Any) -> None:
    model.subgraphs[0].operators, model.subgraphs[0].outputs = [], [0]


def _dynamic(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.shapeSignature, tensor.hasRank = [-1, 8, 8, 4], True


def _empty(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.shape = [1, 0, 8, 4]


def _unnamed(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.name = None


def _unshaped(model: Any) -> None:
    model.subgraphs[0].tensors[1].shape = None


def _no_buffers(model: Any) -> None:
    model.buffers = []


def _description(model: Any) -> None:
    model.description = b"\xff\xfe Latin-1, or anything"


def _two_graphs(model: Any) -> None:
    model.subgraphs.append(model.subgraphs[0])


def _metadata(model: Any) -> None:
    entry = schema.MetadataT()
    entry.name, entry.buffer = "elsewhere", 77
    model.metadata = [entry]


def _sparse(model: Any) -> None:
    """A constant of 4 numbers of which the file holds 2."""
    tensor, sparsity = schema.TensorT(), schema.SparsityParametersT()
    tensor.name, tensor.shape = "sparse", [4]
    tensor.buffer = flatbuffer.add_buffer(model, bytes(8))
    axis, segments, indices = schema.DimensionMetadataT(), *(schema.Int32VectorT() for _ in "ab")
    segments.values, indices.values = [0, 2], [1, 3]
    axis.format = schema.DimensionType.SPARSE_CSR
    axis.arraySegmentsType = axis.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    axis.arraySegments, axis.arrayIndices = segments, indices
    sparsity.traversalOrder, sparsity.dimMetadata = [0], [axis]
    tensor.sparsity = sparsity
    model.subgraphs[0].tensors.append(tensor)


def _variant(model: Any) -> None:
    tensor, within = schema.TensorT(), schema.VariantSubTypeT()
    tensor.name, tensor.shape, tensor.type = "variant", [], schema.TensorType.VARIANT
    within.shape, within.hasRank = [1], True
    tensor.variantTensors = [within]
    model.subgraphs[0].tensors.append(tensor)


def _strings(model: Any) -> None:
    graph, options = model.subgraphs[0], schema.ReshapeOptionsT()
    options.newShape, graph.tensors[1].shape = [256], [256]
    for tensor in graph.tensors:
        tensor.type = schema.TensorType.STRING
    (op,) = graph.operators
    op.opcodeIndex = flatbuffer.operator_code(model, "RESHAPE")
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.ReshapeOptions, options


def _options_2(model: Any) -> None:
    (op,) = model.subgraphs[0].operators
    op.builtinOptions2Type = schema.BuiltinOptions2.StablehloConcatenateOptions
    op.builtinOptions2 = schema.StablehloConcatenateOptionsT()


def _another_operators_options(model: Any) -> None:
    (op,) = model.subgraphs[0].operators
    op.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    op.builtinOptions = schema.Conv2DOptionsT()


def _debug(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.debugMetadataIndex = graph.operators[0].debugMetadataIndex = 7


def _intermediates(model: Any) -> None:
    (op,) = model.subgraphs[0].operators
    op.intermediates, op.mutatingVariableInputs = [-1, 99], [True]


def _old_code(model: Any) -> None:
    model.operatorCodes[0].builtinCode = 0  # Before 2.4 there was the other field alone.


def _new_code(model: Any) -> None:
    model.operatorCodes[0].deprecatedBuiltinCode = 0


def _nan_scale(model: Any) -> None:
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [float("nan")], [1 << 40]
    model.subgraphs[0].tensors[0].quantization = quantization


_CHANGES: dict[str, Change] = {
    "no operators: what comes in goes out": _no_operators,
    "shapes to be known later": _dynamic,
    "tensors of size 0": _empty,
    "tensors without names": _unnamed,
    "an activation without a shape": _unshaped,
    "no buffers, not even the empty one": _no_buffers,
    "a description that is no UTF-8": _description,
    "two graphs": _two_graphs,
    "metadata in a buffer that is not there": _metadata,
    "sparse weights": _sparse,
    "a variant tensor": _variant,
    "strings": _strings,
    "the second union of options": _options_2,
    "options of another operator": _another_operators_options,
    "indices of debugging metadata": _debug,
    "intermediates of another file": _intermediates,
    "an operator code as before 2.4": _old_code,
    "an operator code in the new field alone": _new_code,
    "a scale that is no number": _nan_scale,
}
FILES: dict[str, Callable[[], bytes]] = {
    "a signature with its former key": old_signature,
    "int64 at odd multiples of 4": half_aligned,
    "values behind the tables": values_behind_the_tables,
    "options behind the tables": large_custom_options,
    "defaults written out": force_defaults,
    "bytes after the end": lambda: flatbuffer.serialize(signed(plain())) + b"x",
    **{name: partial(_changed, change) for name, change in _CHANGES.items()},
}
