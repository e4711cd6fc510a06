"""The wheel for boards: `runtime` alone, and it works by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from runtime.errors import KitError
from tests.conftest import ROOT, Build, photo
from tools.wheel import build as build_wheel


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
    assert of_pc and names == set(tracked.stdout.splitlines()) - of_pc


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
