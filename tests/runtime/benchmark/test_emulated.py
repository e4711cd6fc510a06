"""The emulated board as it is: LiteRT's Arm kernels, and instructions counted in QEMU."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.emulated import detect_there
from evaluation.coco import CocoSet, detect_all, score
from runtime import Detector
from runtime.benchmark import arm_root, board, emulator
from runtime.benchmark.counted import KERNELS
from runtime.errors import DataUnavailable
from runtime.tflite_file import TfliteFile
from tests.conftest import Build, photo, run_python
from tests.runtime.benchmark.conftest import Done

Command = Callable[..., Done]
pytestmark = pytest.mark.full(reason="downloads arm64 packages, emulates for minutes")
_MODELS = (
    ("nanodet_m_0.5x.tflite", "nanodet-m-0.5x", "32"),
    ("nanodet_m_0.5x_s8.tflite", "nanodet-m-0.5x", "8,16,32"),
    ("nanodet_plus_m_320_s8.tflite", "nanodet-plus-m-320", "8,16,32,64"),
)


@pytest.fixture(scope="module")
def root() -> Path:
    if not shutil.which("qemu-aarch64"):
        pytest.skip("needs qemu-aarch64")
    try:
        return arm_root.standard()
    except DataUnavailable as reason:
        pytest.skip(str(reason))


def test_parity(root: Path, command: Command, build: Build, tmp_path: Path) -> None:
    """XNNPACK gives the same bytes on both CPUs, and `runtime` the same boxes."""
    Image.fromarray(photo(0, 120, 90)).save(tmp_path / "a.png")
    options = ["--board", "emulated", "--tolerance", "64", "--score-threshold", "0.05"]
    done = command("parity", build.tflite, tmp_path / "a.png", *options)
    assert done.code == 0, done.err
    lines = done.out.splitlines()[-6:]
    assert lines[::3] == ["emulated cortex-a53:", "emulated cortex-a76:"]
    for line in lines[2::3]:
        assert "with XNNPACK here, too, outputs differ by 0 at most, 0.00 in the mean" in line
        here, _, there, _, equal, _ = line.rpartition("; ")[2].split()
        assert here == there == equal != "0"


def test_a_wrong_model_is_one_line(root: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    done = command("bench", tmp_path / "cut.tflite", "--board", "emulated")
    assert done.code == 2 and "cut.tflite: does not run on the emulated cortex-a53" in done.err
    assert not (tmp_path / "here/benchmark").exists()


def test_the_known_counts(root: Path, command: Command, data: Path) -> None:
    """What the boards' descriptions say of NXP's file, whose latency is published."""
    (path,) = (data / "peers").glob("nxp_*.tflite")
    done = command("bench", path, "--board", "emulated", "--out", "out")
    assert done.code == 0, done.err
    found = json.loads(Path(f"out/{path.stem}-emulated.json").read_text())["foretold"]
    assert [(e["cpu"], e["kernels"]) for e in found] == [
        (cpu, kernels) for cpu in emulator.known() for kernels in KERNELS
    ]
    for entry in found:
        assert entry["share"] == pytest.approx(1, abs=0.001)
    published = {p.latency_ms for n in ("imx8mp", "imx93") for p in board.load(n).published}
    latencies = [ms for entry in found for ms in entry["latency_ms"].values()]
    assert len(latencies) == 4 and {round(ms, 1) for ms in latencies} <= published


@pytest.fixture(scope="module", params=_MODELS, ids=[name for name, *_ in _MODELS])
def model(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Quantized without care: the kernels are what is compared."""
    file, name, strides = request.param
    folder = tmp_path_factory.mktemp("build")
    options = ["--model", name, "--strides", strides, "--fast", "--out", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "NANODET_DATA", str(data))
        done = run_python(folder, "-m", "pipeline", *options)
    assert done.returncode == 0, done.stderr
    return folder / file


def test_average_precision(root: Path, model: Path, data: Path) -> None:
    """Of 100 photographs: every box and every score is that of this machine."""
    spec = TfliteFile.read(model).spec
    folder = data / "coco"
    annotations = folder / "instances_val500.json"
    images = CocoSet.load(folder / "val500", annotations, spec.classes, 100)
    here = detect_all(Detector(model), images, progress=False)
    assert len(here) > 100 and score(images, here, spec.classes).figures["AP"] > 4
    for cpu, known in emulator.known().items():
        assert detect_there(emulator.of_board(known, root), model, images) == here, cpu
