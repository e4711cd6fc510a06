"""The generated folder: it compiles, and the application finds what Python finds."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.cortex_m7 import ns_per_instruction, total
from firmware.engine import ENGINES
from runtime.benchmark.board import DEFAULT_BOARD, load
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph
from tests.conftest import NANODET, Build, Converted, in_grey, run_here, run_python
from tests.firmware.conftest import HERE, M7, SANITIZERS, STRICT, tool

COMMAND = [NANODET, "firmware", "--engine", "tflm"]
APP = ["application", "detection_responder", "image_provider", "main", "text"]
REPLAY = [*APP, "port_posix", "model_runner_replay"]


def generate(folder: Path, build: Build, image: Path, *options: str) -> list[str]:
    """Lines of what is to be found."""
    done = run_here(
        folder, *COMMAND, str(build.tflite), "--out", str(folder / "out"),
        "--image", str(image), "--record", "--score-threshold", "0.05", *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [line.strip() for line in done.stdout.splitlines()[2:]]


def replay(folder: Path) -> dict[str, Any]:
    """The application on this machine, on recorded tensors, for a frame."""
    out, program = folder / "out", folder / "replay"
    parts = ("nanodet/include", "nanodet/src", "app", "generated")
    sources = [*sorted((out / "nanodet" / "src").glob("*.c"))]
    sources += [out / "app" / f"{name}.c" for name in REPLAY]
    sources += sorted((out / "generated").glob("*.c"))
    includes = [f"-I{out / part}" for part in parts]
    flags = ["-std=c99", "-g", "-DNANODET_FRAMES=1", *SANITIZERS]
    command = [tool("gcc", "gcc"), *STRICT, *flags, *includes, *map(str, sources)]
    done = subprocess.run([*command, "-o", str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([str(program)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("options", [[], ["--split-stem"], ["--resize", "nearest"]], ids=str)
def test_the_application_finds_what_python_finds(
    build: Build, image: Path, tmp_path: Path, options: list[str]
) -> None:
    expected = generate(tmp_path, build, image, *options)
    found = replay(tmp_path)
    assert found["model"] == TfliteFile.read(build.tflite).sha256
    lines = [
        f"{d['class']} {d['score']:.4f} " + " ".join(f"{v:.4f}" for v in d["box"])
        for d in found["detections"]
    ]
    assert lines == expected and len(lines) > 0


def test_grey_frames_stay_grey(
    tiny: ModelSpec, converted: Converted, image: Path, tmp_path: Path
) -> None:
    grey = converted(in_grey(tiny))
    assert generate(tmp_path, grey, image)
    assert "NANODET_GREY8" in (tmp_path / "out" / "generated" / "test_image.c").read_text()
    assert replay(tmp_path)["detections"]
    words = str(grey.tflite), "--out", "split", "--split-stem", "--image", str(image)
    done = run_here(tmp_path, *COMMAND, *words)
    assert done.returncode == 2 and "leave --split-stem out" in done.stderr


def test_readme_says_what_to_expect(build: Build, image: Path, tmp_path: Path) -> None:
    """Milliseconds of the library's own kernels, as `nanodet cost` counts them."""
    generate(tmp_path, build, image)
    text = " ".join((tmp_path / "out" / "README.md").read_text().split())
    counted, board = total(Graph.read(build.tflite)).instructions, load(DEFAULT_BOARD)
    assert counted is not None
    assert f"about {counted * (ns_per_instruction(board) or 0) / 1e6:,.0f} ms" in text
    assert "LEAKY_RELU in this folder makes it less" in text and "| stack |" in text
    assert "In MCUXpresso IDE" in text and "In MCUXpresso for VS Code" in text


_FUNCTION = re.compile(r"^(?!static)\w[\w *]*?\b(\w+)\([^;{]*\) \{", re.MULTILINE)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_ide_finds_every_function_once(
    build: Build, image: Path, tmp_path: Path, engine: str
) -> None:
    """Of the application it compiles all files but those that README.md leaves out."""
    words = str(build.tflite), "--out", "out", "--image", str(image), "--engine", engine
    assert run_here(tmp_path, NANODET, "firmware", *words).returncode == 0
    out = tmp_path / "out"
    _, _, section = (out / "README.md").read_text().partition("## In MCUXpresso IDE")
    left_out = re.findall("`(app/[a-z_.]*)`", section.partition("\n3. ")[0])
    names = {f"{n}/{p.name}" for n in ("app", "board") for p in (out / n).glob("*.c")}
    assert names > set(left_out) != set()
    compiled = [(out / name).read_text() for name in names - set(left_out)]
    found = Counter(f for text in compiled for f in _FUNCTION.findall(text))
    assert {"main", "port_init", "application_run"} <= set(found), "the expression reads C"
    assert [name for name, count in found.items() if count > 1] == []


@pytest.mark.parametrize("options", [[], ["--split-stem"]], ids=str)
def test_all_of_it_compiles_for_the_cortex_m7(
    build: Build, image: Path, tmp_path: Path, options: list[str]
) -> None:
    """The half that talks to TensorFlow Lite Micro against declarations of our own: its syntax
    alone is checked here."""
    generate(tmp_path, build, image, *options)
    out = tmp_path / "out"
    includes = [f"-I{out / p}" for p in ("nanodet/include", "nanodet/src", "app", "generated")]
    c = tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
    sources = [*(out / "nanodet" / "src").glob("*.c"), *(out / "generated").glob("*.c")]
    sources += [out / "app" / f"{name}.c" for name in APP]
    run([c, "-std=c99", *STRICT, *M7, "-fsyntax-only", *includes, *map(str, sources)])
    cc = tool("arm-none-eabi-g++", "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib")
    halves = [*(out / "tflm").glob("*.cc"), out / "generated" / "nanodet_ops.cc"]
    tflm = stand_in(tmp_path / "tflm", halves)
    flags = ["-std=c++17", "-fno-rtti", "-fno-exceptions", "-DTF_LITE_STATIC_MEMORY"]
    headers = [*includes, f"-I{out / 'tflm'}", f"-I{tflm}"]
    run([cc, *flags, *STRICT, *M7, "-fsyntax-only", *headers, *map(str, halves)])


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def stand_in(folder: Path, sources: list[Path]) -> Path:
    """Headers under TensorFlow Lite Micro's names that lead to `tflm/declarations.h`."""
    headers = [p for source in sources for p in [source, source.with_suffix(".h")] if p.exists()]
    for header in headers:
        for name in re.findall(r'#include "(tensorflow/[^"]+)"', header.read_text()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f'#include "{HERE / "tflm" / "declarations.h"}"\n')
    return folder


def test_same_input_same_files(build: Build, image: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
        generate(folder, build, image)
    names = sorted(p.relative_to(folders[0]) for p in folders[0].rglob("*") if p.is_file())
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_the_model_is_in_it(build: Build, image: Path, tmp_path: Path) -> None:
    generate(tmp_path, build, image)
    text = (tmp_path / "out" / "generated" / "model_data.c").read_text()
    numbers = text[text.index("{") + 1 : text.index("}")].split(",")
    assert np.array([int(n) for n in numbers], np.uint8).tobytes() == build.tflite.read_bytes()


def test_again_into_the_same_folder(build: Build, image: Path, tmp_path: Path) -> None:
    """What is generated is replaced, or goes; what is the user's stays."""
    generate(tmp_path, build, image, "--split-stem")
    out = tmp_path / "out"
    fresh = (out / "generated" / "nanodet_settings.h").read_bytes()
    assert (out / "generated" / "stem_data.c").is_file()
    theirs = {
        "app/image_provider.c": "edited", "board/port.c": "edited", "app/camera.c": "new",
        "camera/driver.c": "new", "generated/notes.txt": "new", "nanodet/src/notes.txt": "new",
    }  # fmt: skip
    for name, text in theirs.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(text)
    for name in ("generated/nanodet_settings.h", "nanodet/src/nanodet_taps.c", "CMakeLists.txt"):
        (out / name).write_text("edited, though it is generated")
    done = again(tmp_path, build, image, "--split-stem", "--score-threshold", "0.05")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "kept" in line]
    assert len(told) == 1 and told[0].endswith(": app/image_provider.c, board/port.c")
    assert {name: (out / name).read_text() for name in theirs} == theirs
    assert (out / "generated" / "nanodet_settings.h").read_bytes() == fresh
    assert "edited" not in (out / "CMakeLists.txt").read_text()
    assert not (out / "generated" / "recorded.h").exists(), "it was not asked for again"
    (out / "app" / "image_provider.c").unlink()
    done = again(tmp_path, build, image)
    assert "image_provider" in (out / "app" / "image_provider.c").read_text(), "the kit's again"
    assert "kept" in done.stdout and "image_provider" not in done.stdout.split("kept")[1]
    assert not list((out / "generated").glob("stem_data.*")), "of an earlier generation"
    assert not list(out.glob(".writing-*"))


def again(folder: Path, build: Build, image: Path, *options: str) -> Any:
    command = [*COMMAND, str(build.tflite), "--out", "out", "--image", str(image)]
    return run_here(folder, *command, *options)


def test_unedited_files_are_not_told_of(build: Build, image: Path, tmp_path: Path) -> None:
    generate(tmp_path, build, image)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    done = again(tmp_path, build, image, "--record", "--score-threshold", "0.05")
    assert done.returncode == 0 and "kept" not in done.stdout
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_a_failure_leaves_the_folder_alone(build: Build, image: Path, tmp_path: Path) -> None:
    generate(tmp_path, build, image)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    done = again(tmp_path, build, tmp_path / "none.png")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("given", [{}, {"NANODET_IMAGE_PROVIDER": "camera.c"}], ids=str)
def test_cmake_takes_the_users_file(
    build: Build, image: Path, tmp_path: Path, given: dict[str, str]
) -> None:
    generate(tmp_path, build, image, "--split-stem")
    out = tmp_path / "out"
    (out / "generated" / "recorded.h").write_text("#error of an earlier generation")
    provider = (out / "app" / "image_provider.c").read_text()
    (tmp_path / "camera.c").write_text(provider.replace("return true", "return 1"))
    halves = [*(out / "tflm").glob("*.cc"), out / "generated" / "nanodet_ops.cc"]
    options = {
        "CMAKE_C_COMPILER": tool("gcc", "gcc"),
        "CMAKE_CXX_COMPILER": tool("g++", "g++"),
        "TFLM_INCLUDE_DIR": str(stand_in(tmp_path / "tflm", halves)),
        "TFLM_LIBRARY": "tflm",
        "NANODET_PORT": str(out / "app" / "port_posix.c"),
        **{name: str(tmp_path / file) for name, file in given.items()},
    }
    words = [f"-D{name}={value}" for name, value in options.items()]
    made = tmp_path / "made"
    run([tool("cmake", "cmake"), "-S", str(out), "-B", str(made), *words])
    run(["cmake", "--build", str(made)])
    listed = subprocess.run(["ar", "t", str(made / "libnanodet.a")], capture_output=True, text=True)
    members = {name.split(".")[0] for name in listed.stdout.split()}
    assert {"application", "port_posix", "stem_data", "nanodet_taps"} <= members
    assert ("camera" in members, "image_provider" in members) == (bool(given), not given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--board", "teapot"], "teapot: unknown; known: imxrt1050 (rt1050, evkbimxrt1050)"),
        (["--image", "nowhere.png"], "nowhere.png: no such image"),
        (["--out", "full"], "--out full: holds something else"),
        (["--score-threshold", "2"], "from 0 to 1"),
    ],
)
def test_bad_input(
    build: Build, image: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "full").mkdir()
    command = [*COMMAND, str(build.tflite), "--out", "out", "--image", str(image)]
    done = run_python(tmp_path, *command, *options)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists() and not list((tmp_path / "full").iterdir())
