"""Give a quantized file its final form: names, order of outputs, and the model spec inside."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from runtime import graph_file
from runtime.errors import GateFailed
from runtime.spec import METADATA_NAME, ModelSpec

INPUT_NAME = "input"


def name_tensors(model: Any, spec: ModelSpec) -> None:
    """Name input and outputs, and order the outputs, as the spec does.

    The converter keeps no order of outputs; its signature knows which is which. Tensors between are
    named after the operator that makes them: the converter's names are a tenth of a file.
    """
    graph = model.subgraphs[0]
    (signature,) = model.signatureDefs
    index = {graph_file.text(entry.name): entry.tensorIndex for entry in signature.outputs}
    if set(index) != set(spec.output_names):
        raise GateFailed(f"converter returned outputs {sorted(index)}, not {spec.output_names}")
    for position, op in enumerate(graph.operators):
        for tensor in op.outputs:
            name = graph_file.operator_name(model, op).lower()
            graph.tensors[tensor].name = f"{position:03d}_{name}"
    graph.outputs = [index[name] for name in spec.output_names]
    for name in spec.output_names:
        graph.tensors[index[name]].name = name
    graph.tensors[graph.inputs[0]].name = INPUT_NAME
    signature.outputs.sort(key=lambda entry: spec.output_names.index(graph_file.text(entry.name)))
    model.description = spec.name


def embed_spec(model: Any, spec: ModelSpec) -> None:
    """Store the spec as a metadata buffer."""
    entry = schema.MetadataT()
    entry.name = METADATA_NAME
    entry.buffer = flatbuffer.add_buffer(model, spec.to_json().encode("utf-8"))
    model.metadata.append(entry)
