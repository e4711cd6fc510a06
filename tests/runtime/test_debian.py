"""`runtime` on Debian's arm64 Pythons, with the numpy and Pillow of the distribution, in QEMU."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime import Detector
from runtime.benchmark import arm_root
from runtime.benchmark.emulator import Emulator
from runtime.errors import DataUnavailable
from tests.conftest import Build, photo

pytestmark = pytest.mark.full(reason="downloads three Debians' packages")
_PACKAGES = ("python3", "python3-numpy", "python3-pil", "libstdc++6")
_LIBRARIES = ("usr/lib/aarch64-linux-gnu/blas", "usr/lib/aarch64-linux-gnu/lapack")
_LOCKED = arm_root.locked_wheels(["ai-edge-litert", "flatbuffers"])
_NOT_DRAWN = "error: drawing needs Pillow 10.1 or newer; here is "


def mirror() -> str:
    """Where this machine's apt finds Debian; skips where it does not."""
    if not all(map(shutil.which, ("apt-get", "dpkg-deb", "qemu-aarch64"))):
        pytest.skip("needs apt-get, dpkg-deb and qemu-aarch64")
    listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    done = subprocess.run(listed, capture_output=True, text=True, check=True)
    for uri in done.stdout.split():
        if uri.rstrip("/").endswith("/debian"):
            return uri
    pytest.skip("apt knows no archive of Debian's here")


@pytest.mark.parametrize(
    ("suite", "version", "wheels", "drawn"),
    [
        # The last interpreter that numpy 1.19 satisfies.
        ("bullseye", "3.9", ["flatbuffers", "tflite-runtime==2.11.0"], False),
        ("bookworm", "3.11", _LOCKED, False),
        ("trixie", "3.13", _LOCKED, True),
    ],
)
def test_it_detects(
    suite: str, version: str, wheels: list[str], drawn: bool, build: Build, tmp_path: Path
) -> None:
    """As here; an older interpreter rounds otherwise, which random weights magnify."""
    root, picture = tmp_path / "root", tmp_path / "photo.png"
    try:
        arm_root.make(root, _PACKAGES, wheels, f"deb {mirror()} {suite} main\n")
    except DataUnavailable as reason:
        pytest.skip(str(reason))
    assert arm_root.python(root).name == f"python{version}"
    Image.fromarray(photo(3, 120, 90)).save(picture)
    board = Emulator("cortex-a53", root, _LIBRARIES)
    detect = ["python3", "-m", "runtime", "detect", str(build.tflite), str(picture)]
    done = board.run([*detect, "--json", "--score-threshold=0.05"])
    assert done.returncode == 0, done.stderr
    here = Detector(build.tflite, score_threshold=0.05).detect(picture)
    there, expected = json.loads(done.text), json.loads(here.to_json())
    if wheels is _LOCKED:
        assert there == expected and there
    pairs = list(zip(there, expected))
    assert pairs and abs(len(there) - len(expected)) <= len(expected) // 20
    assert np.median([abs(a["confidence"] - b["confidence"]) for a, b in pairs]) < 0.03
    done = board.run([*detect, "--out", str(tmp_path / "drawn.png")])
    assert (done.returncode == 0) == drawn == (tmp_path / "drawn.png").exists(), done.stderr
    assert drawn or done.stderr.splitlines()[-1].startswith(_NOT_DRAWN)
