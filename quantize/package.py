"""Give a quantized file its final form: names, order of outputs, and the model spec inside."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from runtime.errors import GateFailed
from runtime.spec import METADATA_NAME, ModelSpec
from runtime.tflite_graph import Graph, text

INPUT_NAME = "input"


def name_tensors(model: Any, spec: ModelSpec) -> None:
    """Name input and outputs, and order the outputs, as the spec does.

    The converter keeps no order of outputs; its signature knows which is which. Tensors between are
    named after the operator that makes them: the converter's names are a tenth of a file.
    """
    graph = Graph.of(model)
    packed, index = model.subgraphs[0], graph.signature
    if set(index) != set(spec.output_names):
        raise GateFailed(f"converter returned outputs {sorted(index)}, not {spec.output_names}")
    for op in graph.operators:
        for tensor in op.outputs:
            packed.tensors[tensor.index].name = f"{op.position:03d}_{op.name.lower()}"
    packed.outputs = [index[name] for name in spec.output_names]
    for name in spec.output_names:
        packed.tensors[index[name]].name = name
    packed.tensors[graph.inputs[0].index].name = INPUT_NAME
    (signature,) = model.signatureDefs
    signature.outputs.sort(key=lambda entry: spec.output_names.index(text(entry.name)))
    model.description = spec.name


def embed_spec(model: Any, spec: ModelSpec) -> None:
    """Store the spec as a metadata buffer."""
    entry = schema.MetadataT()
    entry.name = METADATA_NAME
    entry.buffer = flatbuffer.add_buffer(model, spec.to_json().encode("utf-8"))
    model.metadata.append(entry)
