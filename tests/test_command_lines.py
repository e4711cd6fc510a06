"""recipe.sh, evaluate.py and example.py as a user runs them: bad input in one line, exit code 2."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from PIL import Image

import example
from quantize import flatbuffer
from runtime import Detector
from runtime.spec import ModelSpec
from runtime.tflite_graph import unpack
from tests.conftest import ROOT, Build, photo, run_here, run_python

RECIPE = ["-m", "pipeline"]
EVALUATE = [str(ROOT / "evaluate.py")]
EXAMPLE = [str(ROOT / "example.py")]


def run(
    command: list[str], folder: Path, start: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """start: in a process of its own."""
    variables = {"XDG_CACHE_HOME": str(folder / "cache")} | environment
    with mock.patch.dict(os.environ, variables):
        os.environ.pop("NANODET_DATA", None)
        return (run_python if start else run_here)(folder, *command)


@pytest.fixture(scope="module")
def material(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and bad files to name on command lines."""
    folder = tmp_path_factory.mktemp("material")
    torch.save({"state_dict": {"a": torch.zeros(1)}}, folder / "other.ckpt")
    (folder / "cut.ckpt").write_bytes(build.checkpoint.read_bytes()[:9999])
    for name, count in (("images", 100), ("few", 3)):
        (folder / name).mkdir()
        for i in range(count):
            Image.fromarray(photo(i, 50, 40)).save(folder / name / f"{i:03d}.jpg")
    (folder / "corrupt").mkdir()
    for path in (folder / "images").iterdir():
        (folder / "corrupt" / path.name).write_bytes(path.read_bytes())
    (folder / "corrupt" / "007.jpg").write_bytes(b"\xff\xd8 nothing")
    (folder / "cut").mkdir()
    whole = (folder / "images" / "000.jpg").read_bytes()
    (folder / "cut" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    model = unpack(build.tflite.read_bytes())
    model.metadata = []
    (folder / "bare.tflite").write_bytes(flatbuffer.serialize(model))
    (folder / "good.tflite").write_bytes(build.tflite.read_bytes())
    (folder / "good.ckpt").write_bytes(build.checkpoint.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([*RECIPE, "--model", "yolo"], "known models: nanodet-m-0.5x"),
        ([*RECIPE, "--strides", "7"], "8, 16, 32"),
        ([*RECIPE, "--strides", "a"], "16,32"),
        ([*RECIPE, "--bogus"], "--bogus"),
        ([*EXAMPLE, "x.jpg", "--model", "m.tflite"], "--model is called --tflite now"),
        ([*EXAMPLE, "x.jpg", "--output", "r.jpg"], "--output is called --out now"),
        ([*RECIPE, "--weights", "{m}/nowhere.ckpt"], "nowhere.ckpt: no such file"),
        ([*RECIPE, "--weights", "{m}/other.ckpt", "--images", "{m}/images"],
         "`backbone.conv1.0.weight` is missing"),
        ([*RECIPE, "--weights", "{m}/cut.ckpt", "--images", "{m}/images"], "cut.ckpt: truncated"),
        ([*RECIPE, "--weights", "{m}/good.ckpt", "--images", "{m}/few"], "3 images"),
        ([*RECIPE, "--weights", "{m}/good.ckpt", "--images", "{m}/corrupt"], "007.jpg: damaged"),
        ([*RECIPE, "--config", "{m}/nowhere.yml"], "--config {m}/nowhere.yml"),
        ([*RECIPE, "--config", "{m}/nowhere.yml", "--model", "nanodet-m"], "one of the two"),
        ([*RECIPE, "--classes", "unicorn"], "`unicorn` unknown"),
        ([*RECIPE, "--onnx-layout", "omz"], "--stop-after onnx"),
        ([*RECIPE, "--without", "magic"], "ranges, equalize, reconstruct"),
        ([*RECIPE, "--disable-rewrite", "magic"], "shuffle_by_slices, narrow_neck"),
        ([*RECIPE, "--quantization", "int4"], "int16x8"),
        ([*RECIPE, "--quantization", "float16", "--fast"], "leave out --qat, --fast"),
        ([*RECIPE, "--max-drop", "0.2", "--fast"], "leave out --quantization"),
        ([*RECIPE, "--quantization-images", "{m}/images", "--fast"], "leave out --fast, --qat"),
        ([*RECIPE, "--weights", "{m}/good.ckpt", "--images", "{m}/images",
          "--quantization-images", "{m}/few"], "few: 3 images, it takes 100 or more"),
        ([*RECIPE, "--teacher", "nanodet-m"], "--teacher goes with --qat"),
        ([*RECIPE, "--weights", "{m}/good.ckpt", "--images", "{m}/images", "--qat", "{m}/images",
          "--strides", "8,16,32", "--teacher", "nanodet-m"], "give fewer --strides"),
        ([*RECIPE, "--weights", "{m}/good.ckpt", "--images", "{m}/images", "--qat", "{m}/images",
          "--teacher", "yolo"], "yolo: unknown"),
        ([*RECIPE, "--input-size", "wide"], "256 or 320x192"),
        ([*RECIPE, "--input-size", "250"], "input.width: must be a multiple of 32"),
        ([*RECIPE, "--budget-arena", "many"], "512K or 1.5M"),
        ([*RECIPE, "--budget-arena", "10K"], "no model fits"),
        ([*RECIPE, "--budget-ms", "300", "--strides", "32"], "leave out --model"),
        ([*RECIPE, "--budget-ms", "300", "--target", "linux"], "with --target mcu"),
        ([*EVALUATE, "{m}/good.tflite", "--input-size", "256"], "--input-size goes with"),
        ([*EXAMPLE, "--camera", "77", "--tflite", "{m}/good.tflite"], "--camera 77"),
        ([*RECIPE, "--out", "/dev/null/x"], "--out /dev/null/x"),
        ([*EVALUATE, "{m}/bare.tflite"], "no NanoDet model spec"),
        ([*EVALUATE, "{m}/nowhere.tflite"], "no such file"),
        ([*EVALUATE, "{m}/good.tflite", "--limit", "0"], "--limit"),
        ([*EVALUATE, "{m}/good.tflite", "--max-detections", "0"], "--max-detections"),
        ([*EVALUATE, "{m}/good.tflite", "--max-detections", "-3"], "whole number of 1 or more"),
        ([*EVALUATE, "{m}/good.tflite", "--strides", "32"], "--engine torch"),
        ([*EVALUATE, "{m}/good.tflite", "--images", "{m}/images"], "belong together"),
        ([*EXAMPLE, "--tflite", "{m}/bare.tflite"], "no NanoDet model spec"),
        ([*EXAMPLE, "{m}/corrupt/007.jpg", "--tflite", "{m}/good.tflite"], "007.jpg: damaged"),
        ([*EXAMPLE, "{m}/images/001.jpg", "--tflite", "{m}/good.tflite", "--out", "r.foo"],
         "r.foo"),
        ([*EXAMPLE, "{m}/images/001.jpg", "--tflite", "{m}/good.tflite", "--out", "r.psd"],
         "r.psd: pictures cannot be written in this format"),
        ([*EXAMPLE, "{m}/images/001.jpg", "--tflite", "{m}/good.tflite", "--out", "r"],
         "end the name in .jpg or .png"),
        ([*EXAMPLE, "{m}/cut/cut.jpg", "--tflite", "{m}/good.tflite"], "cut.jpg: damaged"),
        ([*EXAMPLE, "{m}/few", "--tflite", "{m}/good.tflite", "--out", "{m}/good.ckpt"],
         "is a file; name a folder"),
    ],
)  # fmt: skip
def test_bad_input(material: Path, tmp_path: Path, command: list[str], message: str) -> None:
    if command[: len(RECIPE)] == RECIPE and "--out" not in command:
        command = [*command, "--out", str(tmp_path / "out")]
    done = run([word.format(m=material) for word in command], tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message.format(m=material) in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize(
    ("command", "name"),
    [(RECIPE, "recipe.sh"), (EVALUATE, "evaluate.py"), (EXAMPLE, "example.py")],
)
def test_help(tmp_path: Path, command: list[str], name: str) -> None:
    done = run([*command, "--help"], tmp_path, start=True)
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {name} ")


def test_nothing_reachable_is_exit_code_3(tmp_path: Path) -> None:
    proxy = "http://127.0.0.1:9"  # Nobody listens there.
    command = [*RECIPE, "--model", "nanodet-m-0.5x", "--out", str(tmp_path / "out")]
    done = run(command, tmp_path, HTTP_PROXY=proxy, HTTPS_PROXY=proxy)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "--weights" in done.stderr and "NANODET_DATA" in done.stderr
    assert not (tmp_path / "out").exists()


def test_example_prints_and_draws(material: Path, tmp_path: Path) -> None:
    image = material / "images" / "003.jpg"
    command = [*EXAMPLE, str(image), "--tflite", str(material / "good.tflite")]
    done = run([*command, "--score-threshold", "0.3"], tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].endswith("drawn in result.jpg")
    assert int(lines[-1].split()[0]) == len(lines) - 1
    assert Image.open(tmp_path / "result.jpg").size == Image.open(image).size


def test_example_takes_a_folder(material: Path, tmp_path: Path) -> None:
    command = [*EXAMPLE, str(material / "few"), "--tflite", str(material / "good.tflite")]
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 images" in done.stdout and "frames a second" in done.stdout
    names = sorted(p.name for p in (tmp_path / "results").iterdir())
    assert names == ["000.jpg", "001.jpg", "002.jpg"]


def test_example_prints_json(material: Path, tmp_path: Path) -> None:
    """A line for each picture, with what the detector finds, and nothing else."""
    model = str(material / "good.tflite")
    options = ["--tflite", model, "--score-threshold", "0.05", "--json"]
    done = run([*EXAMPLE, str(material / "few"), *options], tmp_path)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    detector = Detector(model, score_threshold=0.05)
    paths = sorted((material / "few").iterdir())
    assert [line["file"] for line in found] == [str(path) for path in paths]
    expected = [json.loads(detector.detect(path).to_json()) for path in paths]
    assert [line["detections"] for line in found] == expected != [[], [], []]


def test_example_shows_where_there_is_a_display(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere it says so before it reads anything."""
    command = [*EXAMPLE, str(material / "few"), "--tflite", str(material / "good.tflite"), "--show"]
    done = run(command, tmp_path, DISPLAY="")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --show: ") and not list(tmp_path.iterdir())
    shown: list[tuple[int, int] | str] = []
    window = SimpleNamespace(
        show=lambda picture: shown.append(picture.size), wait=lambda: shown.append("wait")
    )
    monkeypatch.setattr("runtime.window.Window", lambda: window)
    assert run(command, tmp_path).returncode == 0
    assert shown == [(50, 40)] * 3 + ["wait"]


@pytest.mark.parametrize(
    ("strides", "note"),
    [
        ((8, 16, 32), ""),
        ((16, 32), "strides 16,32 of 8,16,32 find no small objects; bash recipe.sh --target linux"),
        ((32,), "strides 32 of 8,16,32 find large objects only; bash recipe.sh --target linux"),
    ],
)
def test_strides_that_a_file_lacks(
    official: ModelSpec, strides: tuple[int, ...], note: str
) -> None:
    said = example.missing_strides(official.with_strides(strides))
    assert note in said and bool(said) == bool(note)


def test_example_goes_on_after_what_cannot_be_read(material: Path, tmp_path: Path) -> None:
    """All that a single file may be is drawn; what is not written as it is becomes a PNG."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("c.tif", "d.gif", "e.jfif", "f.PPM", "g.JPG"):
        kind = Image.registered_extensions()[Path(name).suffix.lower()]
        Image.fromarray(photo(1, 50, 40)).save(folder / name, kind)
    whole = (folder / "g.JPG").read_bytes()
    for name, content in (("a.jpg", whole[:400]), ("b.png", b""), ("notes.txt", b"none")):
        (folder / name).write_bytes(content)
    (folder / "h.webp").symlink_to("nowhere")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.exists()}
    done = run([*EXAMPLE, "photos", "--tflite", str(material / "good.tflite")], tmp_path)
    assert done.returncode == 2
    last = "error: photos: 3 of 8 images cannot be read: a.jpg, b.png, h.webp\n"
    assert done.stderr.endswith(last) and done.stderr.count("\n") == 1
    assert "skipped: photos/a.jpg: damaged" in done.stdout and "5 images" in done.stdout
    drawn = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert drawn == ["c.tif", "d.gif.png", "e.jfif.png", "f.PPM.png", "g.JPG"]
    assert all(Image.open(tmp_path / "results" / name).size == (50, 40) for name in drawn)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.exists()} == before


@pytest.mark.parametrize(
    ("source", "output", "reason"),
    [
        ("photos/a.jpg", "photos/a.jpg", "the very file"),
        ("photos/a.jpg", "photos/../photos/a.jpg", "by a detour"),
        ("photos/a.jpg", "link.jpg", "by a link to it"),
        ("link.jpg", "photos/a.jpg", "read through a link"),
        ("result.jpg", None, "what is written by default"),
        ("photos", "photos", "the very folder"),
        ("photos", "results/../photos/", "by a detour"),
        ("photos", "same", "by a link to it"),
        ("same", "photos", "read through a link"),
        ("results", None, "what is written by default"),
        ("photos", "linked", "a folder of links to the pictures"),
        ("linked", "photos", "links to the pictures, read"),
        ("clip.mp4", "clip.mp4", "a video"),
    ],
)
def test_example_keeps_its_input(
    material: Path, tmp_path: Path, source: str, output: str | None, reason: str
) -> None:
    for folder in ("photos", "results", "linked"):
        (tmp_path / folder).mkdir()
    for name in ("photos/a.jpg", "results/b.jpg", "result.jpg"):
        Image.fromarray(photo(1, 50, 40)).save(tmp_path / name)
    (tmp_path / "linked" / "a.jpg").symlink_to("../photos/a.jpg")
    (tmp_path / "link.jpg").symlink_to("photos/a.jpg")
    (tmp_path / "same").symlink_to("photos")
    (tmp_path / "clip.mp4").write_bytes(b"a video")
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    before = [path.read_bytes() for path in files]
    command = [*EXAMPLE, source, "--tflite", str(material / "good.tflite")]
    done = run([*command, "--out", output] if output else command, tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --out "), reason
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == files
    assert [path.read_bytes() for path in files] == before
    assert (tmp_path / "link.jpg").is_symlink()


def test_example_takes_a_video(material: Path, tmp_path: Path) -> None:
    from runtime.video import VideoSource, video_sink

    with video_sink(tmp_path / "in.mp4", 5) as sink:
        for i in range(4):
            sink.write(photo(i, 64, 48))
    command = [*EXAMPLE, "in.mp4", "--tflite", str(material / "good.tflite"), "--frames", "3"]
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 frames, drawn in result.webm" in done.stdout
    assert len(list(VideoSource(tmp_path / "result.webm"))) == 3
    done = run([*command, "--json"], tmp_path)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in found] == [1, 2, 3]


def test_recipe_builds_own_weights_and_images(
    material: Path, official: object, tmp_path: Path
) -> None:
    """The whole recipe with random weights: build, then nothing left to do."""
    command = [
        *RECIPE, "--weights", str(material / "good.ckpt"), "--images", str(material / "images"),
        "--out", str(tmp_path / "out"), "--fast", "--input-size", "96x64",
    ]  # fmt: skip
    first = run(command, tmp_path, start=True)
    assert first.returncode == 0, first.stderr
    built = tmp_path / "out" / "nanodet_m_0.5x_96x64.tflite"
    content = built.read_bytes()
    folder = tmp_path / "out" / "build" / "nanodet_m_0.5x_96x64"
    assert (folder / "report.json").is_file()
    pages = {
        folder / name: (folder / name).read_bytes() for name in ("report.html", "MODEL_CARD.md")
    }
    assert str(folder / "report.html") in first.stdout
    assert first.stdout.count("begins; it usually takes") == 5
    again = run(command, tmp_path)
    assert again.stdout.count("unchanged") == 6 and "begins" not in again.stdout
    assert built.read_bytes() == content
    (folder / "report.html").unlink()
    assert run(command, tmp_path).stdout.count("unchanged") == 5
    assert all(path.read_bytes() == before for path, before in pages.items())
    bare = run([*command, "--no-report"], tmp_path)
    assert bare.stdout.count("unchanged") == 5 and "[6/6]" in bare.stdout
    assert not any(path.exists() for path in pages) and "report.html" not in bare.stdout
    assert "No annotated images are at hand" in pages[folder / "report.html"].decode()
    outside = {p.name for p in tmp_path.iterdir()} | {p.name for p in tmp_path.glob("cache/*")}
    assert outside <= {"out", "cache", "matplotlib"}, "elsewhere matplotlib's list of fonts alone"
    assert len(content) == pytest.approx(302_720, rel=0.03), "as of 320x320 pixels"
