"""Plans of random networks, against a checker of their own and LiteRT's reference kernels."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.engine import proof
from firmware.engine.emit import emit
from firmware.engine.layers import Layer, Value
from firmware.engine.plan import Plan, make_plan
from firmware.engine.reader import read_layers
from firmware.engine.turns import FORMS, turns
from runtime.tflite_graph import Graph
from tests.firmware.engine.cores import HOST, program
from tests.firmware.engine.random_graphs import CLASSES, DISTANCES, RandomGraph
from tests.firmware.engine.test_network import assert_same

SEEDS, SIZES = st.integers(0, 2**32 - 1), st.integers(0, 24)
_NOBODY = None


def planned(graph: RandomGraph, narrow: bool = False) -> Plan:
    """The plan of a random network."""
    layers = read_layers(Graph.parse(graph.content, "random"), graph.pairs, "random")
    return make_plan(layers, narrow)


Cut = Callable[[int], list[int]]  # Pixels of a row -> how many are read before they are written.


def _cuts(seed: int) -> Iterator[Cut]:
    """One pixel at a time, as the proof has it, the turns of the kernel, a row, and anything."""
    yield lambda width: [1] * width
    yield from (partial(turns, form=form) for form in FORMS)
    yield lambda width: [width]
    rng = np.random.default_rng(seed)
    yield lambda width: rng.integers(1, 6, width).tolist()


def check(plan: Plan, cut: Cut) -> None:
    """Run the plan on a list of bytes that say whose they are; nothing else is asked of the
    planner than what it hands over: buffers, columns, and the order of layers. cut: how 1x1
    convolutions go about a row."""
    network, storage = plan.network, plan.storage
    memory: list[object] = [_NOBODY] * storage.arena_bytes
    next_row = dict.fromkeys(range(-1, len(network.layers)), 0)

    def places(value: int, y: int, x: int) -> Iterator[tuple[int, int]]:
        buffer = storage.buffers[storage.buffer[value]]
        start = buffer.offset + y % buffer.rows * buffer.row_bytes + x * buffer.pitch
        for channel in range(network.values[value].channels):
            yield channel, start + int(storage.columns[value][channel])

    def write(value: int, y: int, x: int) -> None:
        if network.values[value].channels:
            for channel, at in places(value, y, x):
                memory[at] = (value, y, x, channel)

    def read(layer: Layer, y: int, x: int) -> None:
        for place, source in enumerate(layer.sources):
            pixel = (0, 0) if layer.kind == "gate" and place else (y, x)
            for value in {v for v, _ in source}:
                wanted = {c for v, c in source if v == value}
                for channel, at in places(value, *pixel):
                    if channel in wanted:
                        assert memory[at] == (value, *pixel, channel), (layer.name, y, x)

    for number, _ in plan.schedule.steps:
        y = next_row[number]
        if number < 0:
            next_row[number] += 1
            for x in range(network.values[0].width):
                write(0, y, x)
            continue
        layer = network.layers[number]
        target, source = network.values[layer.value], network.values[layer.sources[0][0][0]]
        scratch = storage.buffers[-1]
        memory[scratch.offset : scratch.offset + scratch.bytes] = [_NOBODY] * scratch.bytes
        count = 2 if layer.kind == "depthwise" and layer.stride == 1 else layer.together
        rows = range(y, min(y + count, target.height))
        next_row[number] += len(rows)
        if layer.kind == "conv" and layer.kernel == layer.stride == 1:
            ends = np.minimum(np.cumsum([0, *cut(target.width)]), target.width)
            for first, end in pairwise(ends.tolist()):
                for row, x in product(rows, range(first, end)):
                    read(layer, row, x)
                for row, x in product(rows, range(first, end)):
                    write(layer.value, row, x)
            assert ends[-1] == target.width
            continue
        for row in rows:
            for x in range(target.width):
                for at in seen(layer, source, target, row, x):
                    read(layer, *at)
        for row in rows:
            for x in range(target.width):
                write(layer.value, row, x)
        for row in rows:  # What was read is there when all is written, too.
            for x in range(target.width):
                for at in seen(layer, source, target, row, x):
                    read(layer, *at)
    heights = {n: network.values[layer.value].height for n, layer in enumerate(network.layers)}
    assert {n: next_row[n] for n in heights} == heights


def seen(layer: Layer, source: Value, target: Value, y: int, x: int) -> set[tuple[int, int]]:
    """Pixels of the source that a pixel of the target depends on."""
    if layer.kind in ("add", "gate", "decode"):
        return {(y, x)}
    if layer.kind == "mean":
        return set(product(range(source.height), range(source.width)))
    if layer.kind == "resize":
        # Half-pixel centres, a quarter of a pixel off.
        lines = [
            {min(max(i, 0), size - 1) for i in ((at - 1) // 2, (at - 1) // 2 + 1)}
            for at, size in ((y, source.height), (x, source.width))
        ]
    else:
        lines = []
        for at, size, out in ((y, source.height, target.height), (x, source.width, target.width)):
            padding = max((out - 1) * layer.stride + layer.kernel - size, 0)
            before = layer.above if layer.repeats else padding // 2
            window = range(at * layer.stride - before, at * layer.stride - before + layer.kernel)
            if layer.repeats:
                lines.append({min(max(i, 0), size - 1) for i in window})
            else:
                lines.append({i for i in window if 0 <= i < size})
    return {(i, j) for i in lines[0] for j in lines[1]}


def some(count: int) -> settings:
    return settings(max_examples=count, deadline=None, derandomize=True, database=None)


@some(5)
@given(SEEDS, SIZES)
def test_no_byte_is_overwritten_too_early(seed: int, operators: int) -> None:
    prove(seed, operators)


@pytest.mark.full(reason="five of them stand for it")
@some(500)
@given(SEEDS, SIZES)
def test_no_byte_of_many_networks_is_overwritten(seed: int, operators: int) -> None:
    prove(seed, operators)


def prove(seed: int, operators: int) -> None:
    """The proof holds, and so does what it says, however many pixels a convolution holds."""
    plan = planned(RandomGraph(seed, operators), narrow=seed % 2 == 1)
    proof.check(plan)
    for cut in _cuts(seed):
        check(plan, cut)


def exact(seed: int, folder: Path) -> None:
    """The emitted C, with either form of weights in turn, gives what LiteRT's reference kernels
    give."""
    graph = RandomGraph(seed, seed % 25)
    network = folder / "network.c"
    network.write_text(emit(planned(graph, narrow=seed % 4 < 2)))
    interpreter = Interpreter(
        model_content=graph.content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )  # fmt: skip
    interpreter.allocate_tensors()
    about = interpreter.get_input_details()[0]
    image = np.random.default_rng(seed).integers(-128, 128, about["shape"]).astype(np.int8)
    interpreter.set_tensor(about["index"], image)
    interpreter.invoke()
    levels = [[interpreter.get_tensor(tensor)[0] for tensor in pair] for pair in graph.pairs]
    taken, given = folder / "image", folder / "out"
    taken.write_bytes(image.tobytes())
    words = [str(taken), str(given), str(CLASSES), str(DISTANCES)]
    command = program(HOST, network).start(words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (seed, done.stderr)
    assert_same(given.read_bytes(), levels)


@pytest.mark.parametrize("seed", [10, 24])
def test_it_answers_as_litert(seed: int, tmp_path: Path) -> None:
    exact(seed, tmp_path)


@pytest.mark.full(reason="two of them stand for it")
@pytest.mark.parametrize("seed", range(50))
def test_fifty_answer_as_litert(seed: int, tmp_path: Path) -> None:
    exact(seed, tmp_path)
