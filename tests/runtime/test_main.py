"""`python3 -m runtime`, as on a board."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Build, photo, run_python


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.fromarray(photo(3, 120, 90)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_detect(build: Build, image: Path, tmp_path: Path) -> None:
    command = ["-m", "runtime", "detect", str(build.tflite), str(image)]
    options = ["--score-threshold", "0.05", "--out", "drawn.png"]
    done = run_python(tmp_path, *command, *options)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert int(lines[-1].split()[0]) == len(lines) - 1 > 0
    assert Image.open(tmp_path / "drawn.png").size == (120, 90)
    found = json.loads(run_python(tmp_path, *command, *options, "--json").stdout)
    assert len(found) == len(lines) - 1 and found[0]["class_name"] == lines[0].split("  ")[0]


def test_options_reach_the_interpreter(build: Build, image: Path, tmp_path: Path) -> None:
    """Built-in kernels answer as the engine `builtin` does; one class is left of all."""
    from runtime import Detector
    from runtime.engines import LiteRtEngine
    from runtime.tflite_file import TfliteFile

    engine = LiteRtEngine(TfliteFile.read(build.tflite), threads=2, xnnpack=False)
    expected = Detector(engine, score_threshold=0.05, classes=["person"]).detect(image)
    options = ["--score-threshold", "0.05", "--no-xnnpack", "--threads", "2", "--json"]
    command = ["-m", "runtime", "detect", str(build.tflite), str(image), "--classes", "person"]
    done = run_python(tmp_path, *command, *options)
    assert done.stdout == expected.to_json() + "\n", done.stderr


def test_parity(build: Build, image: Path, tmp_path: Path) -> None:
    done = run_python(tmp_path, "-m", "runtime", "parity", str(build.tflite), str(image))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("photo.png: outputs differ by ")
    same = run_python(
        tmp_path, "-m", "runtime", "parity", str(build.tflite), str(image),
        "--engines", "builtin,builtin", "--score-threshold", "0.05",
    )  # fmt: skip
    words = same.stdout.split()
    assert "differ by 0 at most" in same.stdout and words[-7] == words[-5] == words[-3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["detect", "nowhere.tflite", "{i}"], "nowhere.tflite"),
        (["detect", "{m}", "nowhere.png"], "nowhere.png: no such image"),
        (["detect", "{m}", "{i}", "--classes", "unicorn"], "`unicorn` unknown"),
        (["detect", "{m}", "{i}", "--delegate", "no.so"], "no.so: cannot be loaded"),
        (["detect", "{m}", "{i}", "--delegate-option", "a:b"], "and --delegate"),
        (["detect", "{m}", "{i}", "--delegate", "no.so", "--delegate-option", "a"], "KEY:VALUE"),
        (["detect", "{m}", "{i}", "--engine", "tflm", "--threads", "2"], "no option `threads`"),
        (["detect", "{m}", "{i}", "--out", "x.psd"], "x.psd: pictures cannot be written"),
        (["detect", "{m}", "{i}", "--out", "{i}"], "--out {i}: is the input"),
        (["detect", "{m}", "{c}"], "cut.png: damaged or not an image"),
        (["parity", "{m}", "{c}"], "cut.png: damaged or not an image"),
        (["parity", "{m}"], "IMAGE"),
        (["parity", "{m}", "{i}", "--engines", "litert"], "two of litert,builtin,tflm"),
        (["dance"], "detect"),
    ],
)
def test_bad_input(
    build: Build, image: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(image.read_bytes()[:5000])
    before = image.read_bytes()
    names = {"m": build.tflite, "i": image, "c": cut}
    words = [word.format(**names) for word in arguments]
    done = run_python(tmp_path, "-m", "runtime", *words)
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    assert message.format(**names) in done.stderr and done.stderr.count("\n") == 1
    assert not done.stdout and image.read_bytes() == before
