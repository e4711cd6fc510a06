"""The programs of docs/own-code.md print what the kit detects, to the last digit."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from quantize import flatbuffer
from quantize.build import build_int8
from quantize.package import embed_spec
from runtime import Detector
from runtime.spec import METADATA_NAME, ModelSpec
from runtime.tflite_graph import unpack
from tests.conftest import ROOT, Build, Converted, canvases, in_grey, photo
from tests.firmware.conftest import SANITIZERS, STRICT, tool

PROGRAMS = ROOT / "docs" / "own-code"
# With random weights nothing scores as high as the programs' own threshold.
THRESHOLD = 0.05
# Input to outputs, as `run_network.c` wants them.
_RUN = """
import struct, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1])
model.allocate_tensors()
source = model.get_input_details()[0]
model.set_tensor(source["index"], np.fromfile("input.bin", np.int8).reshape(source["shape"]))
model.invoke()
found = {o["name"]: model.get_tensor(o["index"]).tobytes() for o in model.get_output_details()}
with open("outputs.bin", "wb") as file:
    for stride in sorted(int(name[4:]) for name in found if name.startswith("cls_")):
        cls, reg = found[f"cls_{stride}"], found[f"reg_{stride}"]
        file.write(struct.pack("II", len(cls), len(reg)) + cls + reg)
"""


def printed(model: Path, picture: Path, threshold: float) -> str:
    """What `./nanodet detect` prints of it."""
    found = Detector(model, score_threshold=threshold).detect(picture)
    return "".join(
        f"{name:<16} {score:.3f}  " + " ".join(f"{side:7.1f}" for side in box) + "\n"
        for name, score, box in zip(found.class_name, found.confidence, found.xyxy)
    )


def run(
    *words: str | Path, folder: Path | None = None, stdin: bytes = b"", **variables: str
) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        input=stdin,
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def program(name: str, folder: Path, threshold: float) -> Path:
    """A copy with another threshold."""
    text = (PROGRAMS / name).read_text().replace("0.35", str(threshold), 1)
    (folder / name).write_text(text)
    return folder / name


def in_python(model: Path, picture: Path, threshold: float, folder: Path) -> str:
    return run(sys.executable, program("detect.py", folder, threshold), model, picture)


def in_c(model: Path, picture: Path, threshold: float, folder: Path) -> str:
    describe = program("describe.py", folder, threshold)
    (folder / "model.h").write_text(run(sys.executable, describe, model))
    (folder / "run.py").write_text(_RUN)
    flags = ["-std=c99", "-pedantic", "-g", *STRICT, *SANITIZERS]
    sources = PROGRAMS / "detect.c", ROOT / "tests/docs/run_network.c"
    run(tool("gcc", "gcc"), *flags, f"-I{folder}", *sources, "-o", folder / "a.out", "-lm")
    ppm = folder / "picture.ppm"
    Image.open(picture).save(ppm)
    command = f"{sys.executable} run.py {model}"
    return run(folder / "a.out", folder=folder, stdin=ppm.read_bytes(), NANODET_RUN=command)


@pytest.fixture
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One of another shape for each."""
    Image.fromarray(photo(*request.param)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture(scope="module")
def files(
    build: Build, tiny: ModelSpec, converted: Converted, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Files by what is particular about them."""

    def get(name: str) -> Path:
        if name == "stretched":
            path = tmp_path_factory.mktemp("stretched") / "model.tflite"
            path.write_bytes(stretched(build))
            return path
        if name == "grey":
            return converted(in_grey(tiny)).tflite
        if name == "blocks":
            path = tmp_path_factory.mktemp("blocks") / "model.tflite"
            source = build.float_model, build.spec, canvases(build.spec), path.name, build.onnx
            path.write_bytes(build_int8(*source, (), ("space_to_depth",)).content)
            return path
        return build.tflite

    return get


def stretched(build: Build) -> bytes:
    """The same file that says of itself what NanoDet-Plus does."""
    spec, model = build.spec, unpack(build.tflite.read_bytes())
    network = dataclasses.replace(spec.architecture, prior_offset=0.0)
    size = dataclasses.replace(spec.input, keep_ratio=False, colour_order="RGB")
    model.metadata = [m for m in model.metadata if m.name != METADATA_NAME.encode()]
    embed_spec(model, dataclasses.replace(spec, architecture=network, input=size))
    return flatbuffer.serialize(model)


_WIDE, _UPRIGHT, _SMALL = (1, 130, 90), (2, 61, 250), (3, 40, 30)


@pytest.mark.parametrize(
    ("way", "file", "picture", "reason"),
    [
        (in_python, "plain", _WIDE, "letterboxed, borders above and below"),
        (in_python, "plain", _UPRIGHT, "borders beside it"),
        (in_python, "plain", _SMALL, "enlarged"),
        (in_python, "stretched", _WIDE, "stretched, as RGB, cells counted from their corners"),
        (in_python, "stretched", _SMALL, "stretched and enlarged"),
        (in_python, "grey", _WIDE, "one channel"),
        (in_python, "blocks", _WIDE, "blocks of 2x2 pixels"),
        (in_c, "plain", _WIDE, "letterboxed, borders above and below"),
        (in_c, "plain", _UPRIGHT, "borders beside it"),
        (in_c, "stretched", _WIDE, "stretched, as RGB, cells counted from their corners"),
        (in_c, "stretched", _SMALL, "stretched and enlarged"),
    ],
    indirect=["picture"],
)
def test_it_detects_what_the_kit_detects(
    way: Callable[..., str],
    file: str,
    picture: Path,
    reason: str,
    files: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    model = files(file)
    expected = printed(model, picture, THRESHOLD)
    assert expected.count("\n") > 20
    assert way(model, picture, THRESHOLD, tmp_path) == expected, reason


@pytest.mark.real
@pytest.mark.parametrize("way", [in_python, in_c])
def test_a_photograph(way: Callable[..., str], recipe: Path, data: Path, tmp_path: Path) -> None:
    """The default file and the programs as they are; README shows what is printed."""
    picture = min((data / "coco" / "calibration").iterdir())
    expected = printed(recipe / "nanodet_m_0.5x.tflite", picture, 0.35)
    assert expected
    assert way(recipe / "nanodet_m_0.5x.tflite", picture, 0.35, tmp_path) == expected


@pytest.mark.parametrize("file", ["grey", "blocks"])
def test_what_the_program_in_c_does_not_take(file: str, files: Callable[[str], Path]) -> None:
    command = [sys.executable, str(PROGRAMS / "describe.py"), str(files(file))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode and "detect.c takes colours, pixel by pixel" in done.stderr
