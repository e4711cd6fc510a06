"""A whole network on the engine, against TensorFlow Lite Micro."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from firmware.engine import WEIGHTS, proof, show
from firmware.engine.emit import emit
from firmware.engine.plan import Plan, make_plan
from firmware.engine.reader import read_layers
from runtime.engines import TflmEngine
from runtime.preprocess import int8_input, to_canvas
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph
from tests.conftest import Build, Converted, in_grey, photo
from tests.firmware.cases import Runner
from tests.firmware.engine.cores import HOST, program


def pairs(file: TfliteFile, graph: Graph) -> list[tuple[int, int]]:
    """Tensors of class and distance logits, the finest stride first."""
    names = graph.signature
    return [(names[f"cls_{s}"], names[f"reg_{s}"]) for s in file.spec.graph.strides]


@pytest.fixture(scope="module", params=[False, True], ids=["colour", "grey"])
def build(request: pytest.FixtureRequest, tiny: ModelSpec, converted: Converted) -> Build:
    return converted(in_grey(tiny) if request.param else tiny)


@pytest.fixture(scope="module")
def canvas(build: Build) -> np.ndarray:
    return to_canvas(photo(1, 130, 90), build.spec.input)[0]


@pytest.fixture(scope="module", params=WEIGHTS)
def plan(build: Build, request: pytest.FixtureRequest) -> Plan:
    file, graph = TfliteFile.read(build.tflite), Graph.read(build.tflite)
    narrow = request.param == "int8"
    return make_plan(read_layers(graph, pairs(file, graph), "model"), narrow)


@pytest.fixture(scope="module")
def network(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emitted C file."""
    path = tmp_path_factory.mktemp("network") / "network.c"
    path.write_text(emit(plan))
    return path


@pytest.mark.parametrize("core", [HOST, "cortex-m7"])
def test_it_answers_as_tflm(core: str, build: Build, network: Path, canvas: np.ndarray) -> None:
    file = TfliteFile.read(build.tflite)
    noise = np.random.default_rng(0).integers(0, 256, canvas.shape).astype(np.uint8)
    pictures = canvas, noise, np.full_like(canvas, 255), np.zeros_like(canvas)
    compare(program(core, network), file, [int8_input(picture, file.spec) for picture in pictures])


def compare(runner: Runner, file: TfliteFile, images: Iterable[np.ndarray]) -> None:
    """Fails at the first output that differs from TensorFlow Lite Micro's.

    images: int8 (1, H, W, 3), what the network takes.
    """
    graph, engine = Graph.parse(file.content, file.path), TflmEngine(file)
    levels = pairs(file, graph)
    channels = [str(graph.tensors[tensor].shape[-1]) for tensor in levels[0]]
    image, out = (runner.program.with_name(name) for name in ("image", "out"))
    for pixels in images:
        image.write_bytes(pixels.tobytes())
        command = runner.start([str(image), str(out), *channels])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        wanted = {
            tensor.index: np.asarray(values)[0]
            for tensor, values in zip(graph.outputs, engine._invoke(pixels), strict=True)
        }
        assert_same(out.read_bytes(), [[wanted[tensor] for tensor in pair] for pair in levels])


def assert_same(content: bytes, levels: list[list[np.ndarray]]) -> None:
    """Every row of every level once, as wanted."""
    seen, at = set(), 0
    while at < len(content):
        level, y = struct.unpack_from("<II", content, at)
        wanted = np.concatenate([values[y] for values in levels[level]], axis=1)
        found = np.frombuffer(content, np.int8, wanted.size, at + 8).reshape(wanted.shape)
        np.testing.assert_array_equal(found, wanted)
        seen.add((level, y))
        at += 8 + wanted.size
    assert seen == {(n, y) for n, (cls, _) in enumerate(levels) for y in range(len(cls))}


def test_the_plan_is_proved(plan: Plan) -> None:
    proof.check(plan)


def test_overlaps_are_found(plan: Plan) -> None:
    """Every buffer moved onto the one that is written next: half of them are needed together."""
    buffers, found = plan.storage.buffers, 0
    for number, buffer in enumerate(buffers[:-2]):  # The last one is scratch memory.
        moved = dataclasses.replace(buffer, offset=buffers[number + 1].offset)
        changed = (*buffers[:number], moved, *buffers[number + 1 :])
        end = max(b.offset + b.bytes for b in changed)
        storage = dataclasses.replace(plan.storage, buffers=changed, arena_bytes=end)
        try:
            proof.check(dataclasses.replace(plan, storage=storage))
        except ValueError:
            found += 1
    assert found > len(buffers) // 2


def test_a_smaller_ring_is_found(plan: Plan) -> None:
    """Every buffer of rows in flight holds no row more than it must."""
    buffers = plan.storage.buffers
    heights = {plan.storage.buffer[v]: x.height for v, x in enumerate(plan.network.values)
               if v in plan.storage.buffer}  # fmt: skip
    rings = [n for n, b in enumerate(buffers) if 1 < b.rows < heights.get(n, 0)]
    assert rings
    for number in rings:
        fewer = dataclasses.replace(buffers[number], rows=buffers[number].rows - 1)
        changed = (*buffers[:number], fewer, *buffers[number + 1 :])
        storage = dataclasses.replace(plan.storage, buffers=changed)
        with pytest.raises(ValueError, match=r"is not there|overwrites"):
            proof.check(dataclasses.replace(plan, storage=storage))


def test_the_plan_is_shown(plan: Plan) -> None:
    """Every layer once, buffers within the arena, and never more in use than there is."""
    found, used = show.lines(plan), show.bytes_in_use(plan)
    assert sorted(line.layer for line in found) == list(range(len(plan.network.layers)))
    assert all(line.offset + line.bytes <= plan.storage.arena_bytes for line in found)
    assert len(used) == len(plan.schedule.steps)
    assert 0 < used.min() <= used.max() <= plan.storage.arena_bytes
    text = show.describe(plan)
    assert f"weights  {'int8' if plan.narrow else 'int16'}, " in text
    assert f"{plan.storage.arena_bytes:,} bytes" in text
    assert all(layer.name in text for layer in plan.network.layers)
