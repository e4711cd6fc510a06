"""The wheel for boards: `runtime` alone, and it works by itself."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import ROOT, Build, photo


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, for building leaves folders behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    files = subprocess.run(
        ["git", "ls-files", "runtime", "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in files.stdout.split():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    pip("wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(out))
    (path,) = out.glob("*.whl")
    return path


def test_it_holds_runtime_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"runtime"}
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "runtime").rglob("*.py")}
    assert modules <= set(names)


def test_it_asks_for_next_to_nothing(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
    lines = archive.read(metadata).decode().splitlines()
    needed = [x for x in lines if x.startswith("Requires-Dist") and "extra ==" not in x]
    assert [line.split()[1].split(">")[0] for line in needed] == ["flatbuffers", "numpy", "pillow"]
    assert "Requires-Python: >=3.9" in lines


def test_it_detects(wheel: Path, build: Build, tmp_path: Path) -> None:
    pip("install", str(wheel), "--no-deps", "--target", str(tmp_path / "site"))
    Image.fromarray(photo(3, 120, 90)).save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "runtime", "detect", str(build.tflite), "photo.png"]
    done = subprocess.run(
        [*command, "--score-threshold", "0.05"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert " detections in " in done.stdout
