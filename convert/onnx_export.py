"""Lowered network -> ONNX file with the model spec inside."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, helper
from torch import fx, nn

from convert.engines import OnnxEngine, input_tensor, onnx_session
from convert.lowering.base import Lowered
from convert.parity import TOLERANCE, blame, first_unmatched, largest_difference
from runtime.errors import GateFailed
from runtime.files import writing
from runtime.spec import METADATA_NAME

# The rewrites of a file for other people's runtimes: input and orientation stay as trained.
PLAIN_REWRITES = ("fold_batch_norm", "select_strides", "select_classes", "split_logits")
OPSET = 18
INPUT_NAME = "input"

_FUNCTIONS = {torch.index_select: "Gather", torch.narrow: "Slice", torch.cat: "Concat"}


def export(model: Lowered, path: Path) -> None:
    """Write `path`: float32 NCHW, input `input`, outputs named as `spec.output_names`."""
    names = list(model.spec.output_names)
    proto = to_onnx(model.module, model.example_input(), INPUT_NAME, names)
    if model.spec.graph.rotated_180:
        _use_same_padding(proto)
    helper.set_model_props(proto, {METADATA_NAME: model.spec.to_json()})
    onnx.checker.check_model(proto)
    with writing(path) as temporary:
        onnx.save(proto, temporary)


def to_onnx(
    module: nn.Module, example: torch.Tensor, input_name: str, output_names: list[str]
) -> ModelProto:
    """Export a module with one input; the same module gives the same bytes on any machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The exporter announces its own deprecations.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[input_name],
            output_names=output_names,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _strip_provenance(proto)
    return proto


def check(model: Lowered, path: Path, canvas: np.ndarray) -> float:
    """Gate: the file answers as the network and has the network's layers, none more.

    Returns the largest difference of any logit. Raises `GateFailed` naming the first layer that
    differs.
    """
    expected = expected_operators(model.module)
    actual = Counter(node.op_type for node in onnx.load(path).graph.node)
    never = {"Pad", "Transpose", "Reshape"} if model.spec.graph.rotated_180 else set()
    for op in sorted(set(expected) | never):
        if actual[op] != expected[op]:
            raise GateFailed(f"{path}: {actual[op]} {op} nodes, expected {expected[op]}")
    difference = largest_difference(model.run(canvas), OnnxEngine(path).infer(canvas))
    if not difference < TOLERANCE:
        candidates = [value for _, value in intermediates(path, canvas)]
        layer = first_unmatched(layer_outputs(model, canvas), candidates)
        raise GateFailed(
            f"{path}: ONNX differs from PyTorch by {difference:.2g} (limit {TOLERANCE:g}), "
            + blame(layer)
        )
    return difference


def expected_operators(module: fx.GraphModule) -> Counter[str]:
    """How many nodes of the kinds that matter an ONNX of this graph must have."""
    counts: Counter[str] = Counter()
    for node in module.graph.nodes:
        if node.op == "call_module":
            layer = module.get_submodule(node.target)
            kinds = {type(part) for part in layer.modules()}
            counts["Conv"] += torch.nn.Conv2d in kinds
            counts["MaxPool"] += torch.nn.MaxPool2d in kinds
            counts["LeakyRelu"] += torch.nn.LeakyReLU in kinds
            counts["Relu"] += torch.nn.ReLU in kinds
            counts["HardSwish"] += torch.nn.Hardswish in kinds
            counts["Clip"] += torch.nn.ReLU6 in kinds
        elif node.target in _FUNCTIONS:
            counts[_FUNCTIONS[node.target]] += 1
    return counts


def layer_outputs(model: Lowered, canvas: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Output of every layer of the lowered network, NHWC, by the layer's name."""

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            result = super().run_node(n)
            if n.op == "call_module" and isinstance(result, torch.Tensor):
                recorded.append((str(n.target), result.permute(0, 2, 3, 1).numpy()))
            return result

    recorded: list[tuple[str, np.ndarray]] = []
    with torch.inference_mode():
        Recorder(model.module).run(model.input_tensor(canvas))
    return recorded


def intermediates(path: Path, canvas: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Every tensor that ONNX Runtime computes, by name, NHWC where it is an image."""
    proto = onnx.load(path)
    spec = OnnxEngine(path).spec
    names = [name for node in proto.graph.node for name in node.output]
    known = {output.name for output in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in known)
    session = onnx_session(proto.SerializeToString())
    values = session.run(names, {INPUT_NAME: input_tensor(canvas, spec).numpy()})
    return [(n, v.transpose(0, 2, 3, 1) if v.ndim == 4 else v) for n, v in zip(names, values)]


def _use_same_padding(proto: ModelProto) -> None:
    """Strided layers: pads -> `auto_pad: SAME_UPPER`, which converters map to TensorFlow's SAME.

    `rotate_180` has checked that the pads are SAME's. Pools carry theirs as a Pad node in front.
    """
    graph = proto.graph
    producers = {name: node for node in graph.node for name in node.output}
    for node in list(graph.node):
        if node.op_type == "Conv" and max(_attribute(node, "strides"), default=1) > 1:
            if any(_attribute(node, "pads")):  # Without, it is TensorFlow's VALID.
                _set_same(node)
        elif node.op_type == "MaxPool":
            pad = producers.get(node.input[0])
            if pad is not None and pad.op_type == "Pad":
                node.input[0] = pad.input[0]
                _set_same(node)
                graph.node.remove(pad)
    used = {name for node in graph.node for name in node.input}
    for unused in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(unused)


def _attribute(node: NodeProto, name: str) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == name), [])


def _set_same(node: NodeProto) -> None:
    kept = [a for a in node.attribute if a.name not in ("pads", "auto_pad")]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("auto_pad", "SAME_UPPER")])


def _strip_provenance(proto: ModelProto) -> None:
    """Drop stack traces and paths of the building machine: same inputs, same bytes."""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.graph.value_info[:]
    proto.graph.doc_string = ""
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
        value.doc_string = ""
