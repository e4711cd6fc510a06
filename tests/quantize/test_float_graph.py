"""The graph that quantization works on answers as TensorFlow Lite does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from quantize import flatbuffer, integer_file, simulate
from quantize.float_graph import FloatGraph
from quantize.methods import quantize
from quantize.simulate import round_activation, round_weight, scale_and_zero_point
from runtime.errors import GateFailed
from runtime.preprocess import float_input, int8_input
from runtime.tflite_graph import unpack
from tests.conftest import Build, calibration


def test_float_answers(build: Build, graph: FloatGraph, canvas: np.ndarray) -> None:
    pixels = float_input(canvas, build.spec)
    runner = Interpreter(model_content=build.float_model).get_signature_runner()
    expected = runner(input=pixels)
    found = simulate.run(graph, torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert set(found) == set(build.spec.output_names)
    for name, values in found.items():
        np.testing.assert_allclose(values.permute(0, 2, 3, 1), expected[name], atol=1e-4)


def test_every_operator_rounds_as_the_kernel(
    build: Build, graph: FloatGraph, canvas: np.ndarray
) -> None:
    """Each operator on the inputs the int8 interpreter gave it, to one step."""
    ranges = quantize(graph, build.spec, calibration(build.spec), ()).ranges
    model = integer_file.write(graph, ranges)
    interpreter = Interpreter(
        model_content=flatbuffer.serialize(model),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, int8_input(canvas, build.spec))
    interpreter.invoke()
    details = {d["name"]: d for d in interpreter.get_tensor_details()}

    def value(tensor: int) -> torch.Tensor:
        detail = details[graph.name(tensor)]
        scale, zero_point = detail["quantization"]
        steps = interpreter.get_tensor(detail["index"]).astype(np.float32) - zero_point
        return torch.from_numpy(steps * scale).permute(0, 3, 1, 2)

    weights = [round_weight(w) for w in graph.weights]
    checked = 0
    for op in graph.operators:
        low, high = (torch.tensor(limit) for limit in ranges[graph.scale_group[op.outputs[0]]])
        inputs = [value(t) for t in op.inputs]
        found = simulate._compute(graph, op, inputs, weights, graph.biases)
        step = (high - low) / simulate.STEPS
        difference = (round_activation(found, low, high) - value(op.outputs[0])).abs() / step
        assert float(difference.max()) < 1.01, op.kind
        # Kernels round products in fixed point, some twice.
        assert float((difference > 0.01).float().mean()) < 0.15, op.kind
        checked += 1
    assert checked > 100


def test_tensors_that_share_a_scale(graph: FloatGraph) -> None:
    for op in graph.operators:
        groups = {graph.scale_group[t] for t in (*op.inputs, *op.outputs)}
        assert (len(groups) == 1) == (op.kind in SAME_SCALE), op.kind


SAME_SCALE = ("CONCATENATION", "STRIDED_SLICE", "MAX_POOL_2D", "AVERAGE_POOL_2D", "RESIZE_BILINEAR")


def test_an_operator_that_no_nanodet_needs(build: Build) -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(build.float_model)
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.ADD:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SUB
    with pytest.raises(GateFailed, match="operator SUB cannot be quantized"):
        FloatGraph.parse(flatbuffer.serialize(model))


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (-1.0, 1.55, 0.01, -28),
        (0.0, 2.55, 0.01, -128),
        (-2.55, 0.0, 0.01, 127),
    ],
)
def test_scale_and_zero_point(low: float, high: float, scale: float, zero_point: int) -> None:
    found = scale_and_zero_point(torch.tensor(low), torch.tensor(high))
    assert float(found[0]) == pytest.approx(scale) and int(found[1]) == zero_point


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(torch.linspace(-2, 3, 120), id="some clipped"),
        pytest.param(torch.arange(-96, 400) / 256, id="half-way between steps, none clipped"),
    ],
)
def test_gradients_of_the_limits(x: torch.Tensor) -> None:
    """Against autograd through the textbook form, rounding passed straight through."""
    x = x.reshape(1, 4, 2, -1)
    seed = torch.sin(torch.arange(float(x.numel()))).reshape(x.shape)
    scale = torch.tensor(1 / 128, requires_grad=True)
    theirs = x.clone().requires_grad_()
    steps = theirs / scale - 78
    steps = (steps + (steps.round() - steps).detach()).clamp(-128, 127)
    ((steps + 78) * scale).backward(seed)
    low, high = (torch.tensor(v, requires_grad=True) for v in (-50 / 128, 205 / 128))
    mine = x.clone().requires_grad_()
    round_activation(mine, low, high).backward(seed)
    torch.testing.assert_close(mine.grad, theirs.grad)
    # With the zero point held the limits are -50 and 205 scales.
    assert low.grad is not None and high.grad is not None and scale.grad is not None
    along_scale = (low.grad * -50 + high.grad * 205).item()
    assert along_scale == pytest.approx(scale.grad.item(), rel=1e-3)
