"""The inspector reads a finished file and finds the tensor that was spoilt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from quantize import simulate
from quantize.float_graph import FloatGraph
from quantize.sensitivity import measure, worst
from tests.conftest import NANODET, Build, calibration, deviation, photo, run_here
from tests.quantize.conftest import silent


@pytest.fixture
def graph(build: Build) -> FloatGraph:
    return FloatGraph.parse(build.tflite.read_bytes())


def test_an_integer_file_is_the_float_network_but_for_its_weights(
    build: Build, graph: FloatGraph
) -> None:
    original = FloatGraph.parse(build.float_model)
    kinds = [op.kind.replace("STRIDED_SLICE", "SLICE") for op in original.operators]
    assert [op.kind for op in graph.operators] == kinds
    for mine, theirs in zip(graph.weights, original.weights, strict=True):
        assert float((mine - theirs).abs().max()) <= 0.51 * float(theirs.abs().max()) / 127
    image = calibration(build.spec)[0]  # On which rounded weights alone cost 0.2 at most.
    expected = simulate.run(original, image)
    for name, values in simulate.run(graph, image).items():
        assert deviation(values.numpy(), expected[name].numpy()) < 0.3, name


def test_a_spoilt_tensor_is_found(build: Build, graph: FloatGraph) -> None:
    images = torch.cat(calibration(build.spec)[:2])
    tensor = graph.rounded[40]
    group = graph.scale_group[tensor]
    low, high = graph.ranges[group]
    graph.ranges[group] = (40 * low, 40 * high)
    reports = measure(graph, images, build.spec.num_bins, silent)
    assert len(reports) == len(graph.rounded)
    names = {graph.name(t) for t in graph.rounded if graph.scale_group[t] == group}
    (first,) = worst(reports, 1)
    assert first.name in names
    assert first.used < 0.05 and first.saturated == 0
    assert first.relief > 0
    assert all(0 <= r.saturated <= 1 and r.cost >= 0 for r in reports)


def test_command(build: Build, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(100):
        Image.fromarray(photo(i, 60, 50)).save(tmp_path / "photos" / f"{i:03d}.png")
    options = ("--images", "photos", "--limit", "1", "--top", "3", "--json", "all.json")
    done = run_here(tmp_path, NANODET, "inspect", str(build.tflite), *options)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 + 3
    reports = json.loads((tmp_path / "all.json").read_text())
    assert len(reports) > 100 and {"noise_db", "cost", "relief"} <= set(reports[0])


def test_ap_and_plot(build: Build, annotated: Path, tmp_path: Path) -> None:
    """One line for the whole, one for each tensor that goes back to float."""
    data = ["--evaluation-images", "images", "--annotations", str(annotated)]
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(100):
        Image.fromarray(photo(i, 60, 50)).save(photos / f"{i:03d}.png")
    options = ["--images", "photos", "--limit", "1", "--top", "1", "--plot", "all.svg", "--ap", "2"]
    done = run_here(tmp_path, NANODET, "inspect", str(build.tflite), *options, *data)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2 + 1 + 1 + 2 and lines[3].startswith("AP on 3 images")
    assert (tmp_path / "all.svg").stat().st_size > 10_000
