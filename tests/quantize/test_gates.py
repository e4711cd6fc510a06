"""A squeeze-and-excitation, as GhostNet has it, and a hard swish through quantization."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from quantize import flatbuffer, simulate
from quantize.channels import Channels
from quantize.float_graph import FloatGraph
from runtime.tflite_check import check_graph
from runtime.tflite_schema import read_model
from tests.analysis.tflite import Maker, image

_RELU6 = 3


def gated(gate: tuple[int, ...] = (1, 1, 1, 6), first: bool = True) -> Maker:
    """Pixels -> six channels, times what their means make of a convolution -> two channels.

    first: the larger one is the product's first input.
    """
    made = image().convolution(1, 8, 8, 6)
    options = schema.Pool2DOptionsT()
    options.strideH = options.strideW = 1
    options.filterHeight = options.filterWidth = 8
    options.padding = 1
    made.step("AVERAGE_POOL_2D", 1, 1, 1, 6, options=options).convolution(*gate)
    made.model.subgraphs[0].operators[-1].builtinOptions.fusedActivationFunction = _RELU6
    made.tensor("product", (1, 8, 8, 6), scales=(2.0,))
    inputs = ["tensor_0", "tensor_2"] if first else ["tensor_2", "tensor_0"]
    return finished(made.add("MUL", inputs, "product", schema.MulOptionsT()))


def swished() -> Maker:
    return finished(image().convolution(1, 8, 8, 6).step("HARD_SWISH", 1, 8, 8, 6, zero=-120))


def finished(made: Maker) -> Maker:
    """With a last convolution of two channels, an output's name, and weights."""
    made.convolution(1, 8, 8, 2)
    signature, output = schema.SignatureDefT(), schema.TensorMapT()
    output.name, output.tensorIndex = "out", made.model.subgraphs[0].outputs[0]
    signature.signatureKey, signature.inputs, signature.outputs = "serve", [], [output]
    made.model.signatureDefs = [signature]
    generator = np.random.default_rng(0)
    for op in made.model.subgraphs[0].operators:
        if len(op.inputs) == 3:
            weight = made.model.buffers[made.model.subgraphs[0].tensors[op.inputs[1]].buffer]
            weight.data = generator.integers(-3, 9, len(weight.data)).astype(np.int8).view(np.uint8)
    return made


def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, (1, 8, 8, 4)).astype(np.int8)


@pytest.mark.parametrize("first", [True, False])
def test_scaled_channels_change_nothing(first: bool) -> None:
    graph = FloatGraph.parse(flatbuffer.serialize(gated(first=first).model))
    image = torch.rand(1, 4, 8, 8)
    before = simulate.run(graph, image)["out"]
    channels = Channels(graph)
    assert channels.count == 6, "of the first convolution, while gate and output stay"
    factors = torch.exp(torch.randn(channels.count, generator=torch.Generator().manual_seed(1)))
    channels.scale(graph, factors)
    torch.testing.assert_close(simulate.run(graph, image)["out"], before, atol=1e-3, rtol=1e-4)


def test_a_hard_swish_keeps_its_scale() -> None:
    graph = FloatGraph.parse(flatbuffer.serialize(swished().model))
    assert Channels(graph).count == 0


@pytest.mark.parametrize("make", [gated, swished])
def test_kernels_round_as_simulated(make: Callable[[], Maker]) -> None:
    """Each operator on what the interpreter gave it, to one step."""
    content = flatbuffer.serialize(make().model)
    graph = FloatGraph.parse(content)
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, pixels())
    interpreter.invoke()

    def value(tensor: int) -> torch.Tensor:
        quantized = graph.file.tensors[tensor]
        steps = interpreter.get_tensor(tensor).astype(np.float32) - quantized.zero_points[0]
        return torch.from_numpy(steps * quantized.scales[0]).permute(0, 3, 1, 2)

    for op in graph.operators:
        found = simulate._compute(
            graph, op, [value(t) for t in op.inputs], graph.weights, graph.biases
        )
        low, high = (torch.tensor(v) for v in graph.ranges[graph.scale_group[op.outputs[0]]])
        step = (high - low) / simulate.STEPS
        difference = (simulate.round_activation(found, low, high) - value(op.outputs[0])) / step
        assert float(difference.abs().max()) < 1.01, op.kind


def test_shapes_are_checked() -> None:
    check_graph(read_model(flatbuffer.serialize(gated().model)))
    with pytest.raises(ValueError, match=r"MUL: .* cannot be multiplied"):
        check_graph(read_model(flatbuffer.serialize(gated((1, 1, 1, 3)).model)))
