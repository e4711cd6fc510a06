"""Cutting a file, against an interpreter that keeps every tensor of the whole file."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from analysis.cut import Cutter, first_difference
from runtime.engines.interpreter import answer, open_interpreter
from runtime.tflite_graph import unpack
from tests.conftest import Build


@pytest.fixture(scope="module")
def whole(build: Build) -> Any:
    """Ran on random pixels."""
    interpreter = litert.Interpreter(
        model_content=build.tflite.read_bytes(),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    pixels = np.random.default_rng(0).integers(-128, 128, details["shape"]).astype(np.int8)
    interpreter.set_tensor(details["index"], pixels)
    interpreter.invoke()
    return interpreter


def test_prefixes_answer_as_the_whole(build: Build, whole: Any) -> None:
    cutter = Cutter(build.tflite.read_bytes(), "m.tflite")
    pixels = whole.get_tensor(whole.get_input_details()[0]["index"])[None]
    for count in (1, 2, 3, *range(4, len(cutter.operators), 9), len(cutter.operators)):
        cut = open_interpreter(litert, cutter.prefix(count), xnnpack=False)
        live = cutter.live_after(count)
        assert live and [d["index"] for d in cut.get_output_details()] == live
        for index, found in zip(live, answer(cut, [pixels])):
            assert np.array_equal(found[0], whole.get_tensor(index)), (count, index)


def test_operators_alone_answer_as_in_the_whole(build: Build, whole: Any, full: bool) -> None:
    """The first three of a kind stand for the others."""
    cutter, seen = Cutter(build.tflite.read_bytes(), "m.tflite"), Counter[str]()
    for position, operator in enumerate(cutter.operators):
        seen[operator.name] += 1
        if seen[operator.name] > 3 and not full:
            continue
        cut = open_interpreter(litert, cutter.alone(position), xnnpack=False)
        inputs = cutter.inputs_of(position)
        assert [d["index"] for d in cut.get_input_details()] == inputs
        outputs = answer(cut, [whole.get_tensor(i)[None] for i in inputs])
        for tensor, found in zip(operator.outputs, outputs):
            assert np.array_equal(found[0], whole.get_tensor(tensor.index)), operator.label


def test_what_is_live(build: Build) -> None:
    cutter = Cutter(build.tflite.read_bytes(), "m.tflite")
    assert cutter.live_after(1) == [t.index for t in cutter.operators[0].outputs]
    outputs = unpack(build.tflite.read_bytes()).subgraphs[0].outputs
    assert cutter.live_after(len(cutter.operators)) == sorted(outputs)


def test_bisection_finds_every_operator(build: Build) -> None:
    cutter = Cutter(build.tflite.read_bytes(), "m.tflite")
    for position in range(len(cutter.operators)):
        asked: list[int] = []

        def differs(count: int, first: int = position, log: list[int] = asked) -> bool:
            log.append(count)
            return count > first

        assert first_difference(cutter, differs) == position
        assert len(asked) <= 9
