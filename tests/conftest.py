"""Fixtures: a small model built from random weights, and the real data where it is at hand."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import io
import json
import os
import pickle
import runpy
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from unittest import mock

import coverage
import numpy as np
import pytest
from PIL import Image

from runtime.cli import Parser
from runtime.spec import ModelSpec

if TYPE_CHECKING:
    import torch

    from convert.network import NanoDet

ROOT = Path(__file__).parent.parent
T = TypeVar("T")
NANODET = str(ROOT / "nanodet")
# Whose tests are traced for coverage; those of `firmware` test `quantize.split` and the arena.
_TRACED = (
    *("analysis/", "convert/", "quantize/", "runtime/"),
    *("firmware/test_arena", "firmware/test_generate", "firmware/test_stem"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full` runs what the fast set leaves out."""
    parser.addoption("--full", action="store_true", help="the tests marked `full`, too")


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether all of it is wanted, for tests that then try more."""
    return bool(pytestconfig.getoption("full"))


def _is_traced(item: pytest.Item) -> bool:
    return item.path.relative_to(ROOT / "tests").as_posix().startswith(_TRACED)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes comes first, so that no process is left with it at the end."""
    items.sort(key=_is_traced)
    for item in items:
        mark = item.get_closest_marker("full")
        if mark is not None and not config.getoption("full"):
            item.add_marker(pytest.mark.skip(reason=f"--full runs it: {mark.kwargs['reason']}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Other tests, whole recipes and trainings, go untraced: tracing takes them a third longer."""
    tracing = coverage.Coverage.current()
    if tracing is None or _is_traced(item):
        return (yield)
    tracing.stop()
    with mock.patch.dict(os.environ):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)  # Nor their processes.
        result = yield
    tracing.start()
    return result


def photo(seed: int, width: int, height: int) -> np.ndarray:
    """A picture with smooth areas, edges and noise: uint8 (height, width, 3), RGB."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    left, top = rng.integers(0, width // 2 + 1), rng.integers(0, height // 2 + 1)
    image = image.copy()
    image[top : top + height // 3 + 1, left : left + width // 3 + 1] = rng.integers(0, 256, 3)
    noise = rng.integers(-20, 21, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python with the kit's modules at hand, in `folder`."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def deviation(found: np.ndarray, wanted: np.ndarray) -> float:
    """Root of the mean square difference, in standard deviations of `wanted`.

    0 is equal, 1 is as bad as the mean of all values. A correlation takes 2 x + 5 for x; this is
    above 1 then.
    """
    difference = np.asarray(found, np.float64) - np.asarray(wanted, np.float64)
    return float(np.sqrt(np.mean(difference**2)) / np.std(wanted))


def run_here(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As `run_python` with `-m MODULE` or a script, in this process.

    For tests of what a command does. A process of its own takes seconds to import PyTorch.
    """
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    module = arguments[0] == "-m"
    name, *options = arguments[1:] if module else arguments
    code: object = None
    with (
        mock.patch.dict(os.environ, PYTHONPATH=str(ROOT)),
        mock.patch.object(sys, "argv", [name, *options]),
        mock.patch.object(sys, "path", [*sys.path]),
        mock.patch.object(Parser, "program", None),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", module="runpy")  # The module may be imported already.
        os.chdir(folder)
        try:
            if module:
                runpy.run_module(name, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(name, run_name="__main__")
        except SystemExit as end:
            code = end.code
        finally:
            os.chdir(before)
    if isinstance(code, str):  # `sys.exit` prints it.
        err.write(f"{code}\n")
    number = code if isinstance(code, int) else int(bool(code))
    return subprocess.CompletedProcess(arguments, number, out.getvalue(), err.getvalue())


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """What `make` gives, made by the first process of the run that wants it.

    make: takes an empty folder, which all processes read afterwards; its result is pickled.
    """
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, made = shared / "once" / name, shared / "once" / f"{name}.pickle"
    folder.parent.mkdir(exist_ok=True)
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # Another process failed here.
            folder.mkdir()
            made.write_bytes(pickle.dumps(make(folder)))
    result: T = pickle.loads(made.read_bytes())
    return result


def small(spec: ModelSpec, width: int, height: int) -> ModelSpec:
    """The spec with another input size."""
    size = dataclasses.replace(spec.input, width=width, height=height)
    return dataclasses.replace(spec, input=size)


def in_grey(spec: ModelSpec) -> ModelSpec:
    """The spec with an input of one channel."""
    from train import starting

    return dataclasses.replace(spec, input=starting.in_grey(spec.input))


@pytest.fixture(scope="session")
def official() -> ModelSpec:
    """NanoDet-m-0.5x as in models/."""
    return ModelSpec.from_yaml(ROOT / "models" / "nanodet-m-0.5x.yaml")


@pytest.fixture(scope="session")
def tiny(official: ModelSpec) -> ModelSpec:
    """The same at 96x64 pixels: 12x8, 6x4 and 3x2 cells."""
    return small(official, 96, 64)


@pytest.fixture(scope="session")
def canvas(tiny: ModelSpec) -> np.ndarray:
    """A photograph on the canvas of `tiny`."""
    from runtime.preprocess import to_canvas

    return to_canvas(photo(1, 130, 90), tiny.input)[0]


def canvases(spec: ModelSpec) -> list[np.ndarray]:
    """Ten photographs for calibration."""
    from runtime.preprocess import to_canvas

    return [to_canvas(photo(seed, 120, 100), spec.input)[0] for seed in range(10)]


def calibration(spec: ModelSpec) -> list[torch.Tensor]:
    """The same as the graph of `spec` takes them, each (1, 3, H, W)."""
    import torch

    from runtime.preprocess import float_input

    return [torch.from_numpy(float_input(c, spec)).permute(0, 3, 1, 2) for c in canvases(spec)]


@dataclass(frozen=True)
class Build:
    """What the stages made of a network, `tiny` with random weights if nothing else is said."""

    spec: ModelSpec
    onnx: Path
    saved_model: Path
    float_model: bytes
    tflite: Path
    checkpoint: Path


def make_build(spec: ModelSpec, folder: Path, left_out: Collection[str] = ()) -> Build:
    """The whole conversion of `spec` with random weights."""
    from tests.random_network import random_network

    return convert_network(random_network(spec), spec, canvases(spec), folder, left_out)


def convert_network(
    network: NanoDet,
    spec: ModelSpec,
    photographs: Sequence[np.ndarray],
    folder: Path,
    left_out: Collection[str] = (),
) -> Build:
    """Every stage, quantized min/max; the gates compare on the first photograph."""
    import torch

    from convert import onnx_export, tensorflow_export
    from convert.lowering import REWRITES, lower
    from quantize import float_file
    from quantize.build import build_int8

    checkpoint, tflite = folder / "weights.ckpt", folder / "model.tflite"
    onnx_path, saved_model = folder / "model.onnx", folder / "saved_model"
    torch.save({"state_dict": network.state_dict()}, checkpoint)
    canvas, rewrites = photographs[0], [n for n in REWRITES if n not in left_out]
    lowered, _ = lower(network, spec, canvas, rewrites)
    onnx_export.export(lowered, onnx_path)
    onnx_export.check(lowered, onnx_path, canvas)
    tensorflow_export.export(onnx_path, saved_model, canvas)
    tensorflow_export.check(onnx_path, saved_model, canvas)
    float_model = float_file.convert(saved_model)
    built = build_int8(float_model, lowered.spec, photographs, tflite.name, onnx_path, methods=())
    tflite.write_bytes(built.content)
    return Build(lowered.spec, onnx_path, saved_model, float_model, tflite, checkpoint)


Converted = Callable[..., Build]


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """`make_build` of a spec without some rewrites, once in the whole run."""

    def get(spec: ModelSpec, left_out: Collection[str] = ()) -> Build:
        key = hashlib.sha256(repr((spec, sorted(left_out))).encode()).hexdigest()[:16]
        return once(tmp_path_factory, key, lambda folder: make_build(spec, folder, left_out))

    return get


@pytest.fixture(scope="session")
def build(tiny: ModelSpec, converted: Converted) -> Build:
    """The whole conversion, for all tests that read its files."""
    return converted(tiny)


@pytest.fixture(scope="session")
def shuffled(tiny: ModelSpec, converted: Converted) -> Build:
    """The same with its channel shuffles left in."""
    return converted(tiny, ("shuffle_by_slices",))


@pytest.fixture(scope="session")
def coarse(tiny: ModelSpec, converted: Converted) -> Build:
    """Stride 32 alone, whose operators TFLite Micro knows for int16, too."""
    return converted(tiny.with_strides((32,)))


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Three photographs, each with a person all over it."""
    (tmp_path / "images").mkdir()
    for i in range(3):
        Image.fromarray(photo(i, 96, 64)).save(tmp_path / "images" / f"{i}.jpg")
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 96, "height": 64} for i in range(3)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1, "bbox": [0, 0, 96, 64], "area": 6144,
             "iscrowd": 0}
            for i in range(3)
        ],
    }  # fmt: skip
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder with the real weights and photographs; skips where there is none."""
    folder = Path(os.environ.get("NANODET_DATA") or ROOT.parent / "shared")
    if not (folder / "weights").is_dir() or not (folder / "coco").is_dir():
        pytest.skip("no real weights and photographs here (NANODET_DATA)")
    return folder.resolve()


@pytest.fixture(scope="session")
def recipe(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what `recipe.sh` builds by default of the real weights, once in the whole run."""

    def make(folder: Path) -> Path:
        with mock.patch.dict(os.environ, NANODET_DATA=str(data)):
            done = run_python(folder, "-m", "pipeline", "--out", str(folder))
        assert done.returncode == 0, done.stderr
        return folder

    return once(tmp_path_factory, "recipe", make)
