"""The wheel for boards: `runtime` alone, called `nanodet_runtime`, and it works by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime import Detector
from runtime.engines.arena import arena_bytes
from runtime.errors import KitError
from tests.conftest import ROOT, Build, photo
from tools.wheel import build as build_wheel


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """In a folder that is no checkout, with these environment variables alone."""
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(photo(3, 120, 90)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a user builds it."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_it_holds_runtime_alone(wheel: Path) -> None:
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in n}
    tracked = subprocess.run(
        ["git", "ls-files", "runtime"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    of_pc = {name for name in tracked.stdout.splitlines() if "/benchmark/" in name}
    of_boards = set(tracked.stdout.splitlines()) - of_pc
    assert of_pc and names == {f"nanodet_{name}" for name in of_boards}
    assert "nanodet_runtime/py.typed" in names


def test_every_checkout_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also one in another folder, at another time, with other permissions."""
    wheels = []
    for folder, date, mode in (("one", 10**9, 0o600), ("or another", 15 * 10**8, 0o775)):
        clone = tmp_path / folder
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        for path in (clone / "runtime").rglob("*.py"):
            path.chmod(mode)
            os.utime(path, (date, date))
        wheels.append(build_wheel(tmp_path / f"wheel of {folder}", clone).read_bytes())
    assert wheels[0] == wheels[1]
    source = clone / "runtime" / "errors.py"
    source.write_text(source.read_text() + "# changed\n")
    assert build_wheel(tmp_path / "changed", clone).read_bytes() != wheels[1]


def test_no_checkout_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="not a git repository"):
        build_wheel(tmp_path, tmp_path)


def test_it_asks_for_next_to_nothing(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
    lines = archive.read(metadata).decode().splitlines()
    needed = [x for x in lines if x.startswith("Requires-Dist") and "extra ==" not in x]
    assert [line.split()[1].split(">")[0] for line in needed] == ["flatbuffers", "numpy", "pillow"]
    assert "Requires-Python: >=3.9" in lines


def test_it_detects(wheel: Path, build: Build, picture: Path, tmp_path: Path) -> None:
    """By its program and by its module, both with its own name."""
    site = tmp_path / "site"
    pip("install", str(wheel), "--no-deps", "--target", str(site))
    program = str(site / "bin" / "nanodet-runtime")
    for command in ([sys.executable, program], [sys.executable, "-m", "nanodet_runtime"]):
        words = [*command, "detect", str(build.tflite), str(picture), "--score-threshold", "0.05"]
        done = run(words, tmp_path, PYTHONPATH=str(site))
        assert done.returncode == 0, done.stderr
        assert " detections in " in done.stdout
        name = "python3 -m nanodet_runtime" if "-m" in command else "nanodet-runtime"
        shown = run([*command, "parity", "--help"], tmp_path, PYTHONPATH=str(site)).stdout
        assert shown.startswith(f"usage: {name} parity ")


def test_it_measures_the_arena(wheel: Path, build: Build, tmp_path: Path) -> None:
    """In a process of its own, which has to find the package by the name that it has there."""
    pip("install", str(wheel), "--no-deps", "--target", str(tmp_path / "site"))
    code = "import pathlib, sys; from nanodet_runtime.engines.arena import arena_bytes; "
    code += "print(arena_bytes(pathlib.Path(sys.argv[1])))"
    words = [sys.executable, "-c", code, str(build.tflite)]
    done = run(words, tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.stdout == f"{arena_bytes(build.tflite)}\n", done.stderr


_DETECT = """
import importlib.util, sys
from nanodet_runtime import Detector
assert importlib.util.find_spec("runtime") is None, "nothing of another name is installed"
print(Detector(sys.argv[1], score_threshold=0.05).detect(sys.argv[2]).to_json())
"""


_ANOTHER = pytest.mark.full(reason="installs packages for another Python")


@pytest.mark.parametrize(
    "version",
    ["3.9", "3.13", *(pytest.param(f"3.{n}", marks=_ANOTHER) for n in (10, 11, 12, 14))],
)
def test_a_fresh_environment(
    version: str, wheel: Path, build: Build, picture: Path, tmp_path: Path
) -> None:
    """With what pip finds for that Python, the answer is this one's but for a kernel's rounding."""
    subprocess.run([_python(version), "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    needed = ["ai-edge-litert", "flatbuffers", "numpy", "pillow"]
    found = subprocess.run([*install, *needed], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"pip does not find {needed} for {version}: {found.stderr[-200:]}")
    subprocess.run([*install, f"{wheel}[litert]"], capture_output=True, check=True)
    done = run([python, "-I", "-c", _DETECT, str(build.tflite), str(picture)], tmp_path)
    assert done.returncode == 0, done.stderr
    there, here = json.loads(done.stdout), Detector(build.tflite, score_threshold=0.05)
    expected = json.loads(here.detect(picture).to_json())
    pairs = list(zip(there, expected))
    assert pairs and abs(len(there) - len(expected)) <= len(expected) // 20
    assert np.median([abs(a["confidence"] - b["confidence"]) for a, b in pairs]) < 0.01


def _python(version: str) -> str:
    """An interpreter of that version, on the path or of pyenv; skips where there is none."""
    name = f"python{version}"
    of_pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"))
    for path in filter(None, (shutil.which(name), *map(str, of_pyenv))):
        if not subprocess.run([path, "--version"], capture_output=True, check=False).returncode:
            return path
    pytest.skip(f"no Python {version} here")
