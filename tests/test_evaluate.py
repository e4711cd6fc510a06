"""evaluate.py: which strides are evaluated, and that the line with the AP says so."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import evaluate
from evaluation.coco import CocoSet, indexed
from runtime.errors import KitError
from runtime.spec import ModelSpec
from tests.conftest import ROOT, Build, run_here


@pytest.fixture
def strides_of(build: Build, official: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The strides that a command line evaluates; `cut.tflite` has stride 32 alone."""
    read = evaluate.TfliteFile.read

    def read_or_cut(path: Path) -> Any:
        cut = SimpleNamespace(spec=official.with_strides((32,)))
        return cut if path.name == "cut.tflite" else read(path)

    def chosen(*words: str) -> tuple[int, ...]:
        job = evaluate.chosen_job(evaluate.parse_arguments(list(words)))
        return job.spec.graph.strides

    monkeypatch.setattr(evaluate.TfliteFile, "read", read_or_cut)
    return chosen


@pytest.mark.parametrize(
    ("words", "expected", "reason"),
    [
        ("--engine torch --model nanodet-m-0.5x --weights {w}", (8, 16, 32), "all of the network"),
        ("--engine torch --weights {w}", (8, 16, 32), "the default network"),
        ("cut.tflite --engine torch --weights {w}", (8, 16, 32), "the network of a file cut to 32"),
        ("--engine torch --weights {w} --classes person", (8, 16, 32), "whatever the classes"),
        ("--engine torch --weights {w} --strides 32", (32,), "told otherwise"),
        ("--engine torch --weights {w} --strides 16,32", (16, 32), "told otherwise"),
        ("cut.tflite --engine torch --weights {w} --strides 16", (16,), "told otherwise"),
        ("{t}", (8, 16, 32), "the file's own"),
        ("{o} --engine onnx", (8, 16, 32), "the file's own"),
    ],
)
def test_strides(
    strides_of: Any, build: Build, words: str, expected: tuple[int, ...], reason: str
) -> None:
    files = {"w": build.checkpoint, "t": build.tflite, "o": build.onnx}
    assert strides_of(*(word.format(**files) for word in words.split())) == expected, reason


def test_the_onnx_file_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With all strides, though recipe.sh alone builds the coarsest; how to get it is said."""
    monkeypatch.setattr(evaluate, "ROOT", tmp_path)
    options = evaluate.parse_arguments(["--engine", "onnx"])
    with pytest.raises(KitError, match=r"nanodet_m_0.5x_s8.onnx: .* recipe.sh --stop-after onnx"):
        evaluate.chosen_job(options)


@pytest.mark.parametrize("name", ["nanodet-m", "nanodet-plus-m-416", "nanodet-plus-m-1.5x-320"])
def test_every_network_has_all_its_strides(name: str) -> None:
    words = ["--engine", "torch", "--model", name]
    spec = evaluate.chosen_network(evaluate.parse_arguments(words))
    assert spec.graph.strides == spec.architecture.strides != spec.architecture.strides[-1:]


def test_the_line_with_the_ap(build: Build, annotated: Path, tmp_path: Path) -> None:
    """The line with the AP names the strides, the file with the figures, too."""
    data = ["--images", "images", "--annotations", str(annotated), "--json", "s.json"]
    network = ["--engine", "torch", "--weights", str(build.checkpoint)]
    for more, line, strides in (
        (["--strides", "16,32"], "strides 16,32 of 8,16,32: AP ", [16, 32]),
        ([], "strides 8,16,32: AP ", [8, 16, 32]),
    ):
        command = [str(ROOT / "evaluate.py"), *network, *data, *more, "--input-size", "96x64"]
        done = run_here(tmp_path, *command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-2].startswith(line)
        assert json.loads((tmp_path / "s.json").read_text())["strides"] == strides


@pytest.fixture
def pictures(tmp_path: Path) -> CocoSet:
    """Number of each: 1 is 4:3, 2 is 3:2, 3 upright, 4 upright by its EXIF tag alone."""
    sizes = ((640, 480), (600, 400), (480, 640), (640, 480))
    names = {i: {"id": i, "file_name": f"{i}.png"} for i in range(1, 5)}
    for number, size in enumerate(sizes, 1):
        image = Image.new("L", size)
        exif = image.getexif()
        exif[0x0112] = 6 if number == 4 else 1  # 6: lies on its side.
        image.save(tmp_path / f"{number}.png", exif=exif)
    dataset = {"images": list(names.values()), "categories": [], "annotations": []}
    return CocoSet(tmp_path, indexed(dataset), tuple(names), (1,))


@pytest.mark.parametrize(
    ("text", "kept", "reason"),
    [
        ("1.2:1.6", (1, 2), "wider than high"),
        ("1.3:1.4", (1,), "4:3 alone"),
        ("1.5:1.5", (2,), "the limits are within"),
        ("0.1:1", (3, 4), "upright, also by the tag"),
    ],
)
def test_aspect(pictures: CocoSet, text: str, kept: tuple[int, ...], reason: str) -> None:
    assert evaluate.of_aspect(pictures, evaluate.parse_aspect(text)).image_ids == kept, reason


def test_no_picture_of_that_shape(pictures: CocoSet) -> None:
    with pytest.raises(KitError, match="--aspect 3:4: no image"):
        evaluate.of_aspect(pictures, (3.0, 4.0))


@pytest.mark.parametrize("text", ["1.2", "a:b", "0:1", "1.6:1.2", "1:2:3", "nan:1"])
def test_no_aspect(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"1\.2:1\.6"):
        evaluate.parse_aspect(text)


@pytest.mark.parametrize(
    ("size", "keep_ratio", "others", "reason"),
    [
        ((320, 256), True, "3 of 4", "4:3"),
        ((320, 224), True, "3 of 4", "3:2"),
        ((256, 320), True, "2 of 4", "upright"),
        ((320, 320), True, "", "no camera's"),
        ((320, 256), False, "", "stretched"),
    ],
)
def test_pictures_of_another_shape(
    pictures: CocoSet,
    official: ModelSpec,
    size: tuple[int, int],
    keep_ratio: bool,
    others: str,
    reason: str,
) -> None:
    canvas = dataclasses.replace(
        official.input, width=size[0], height=size[1], keep_ratio=keep_ratio
    )
    note = evaluate.shape_note(pictures, dataclasses.replace(official, input=canvas))
    assert others in note and bool(note) == bool(others), reason
