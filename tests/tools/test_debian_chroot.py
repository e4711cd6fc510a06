"""README's first command in a Debian that has Python and git alone, as an ordinary user."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import Detector
from tests.conftest import ROOT, photo

_FILE = "nanodet_m_0.5x_shapes"


def script(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "tools" / "debian_chroot.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[Path]:
    mounts = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if os.geteuid() or mounts.returncode or not shutil.which("mmdebstrap"):
        pytest.skip("needs root, who may mount, and mmdebstrap")
    folder = tmp_path / "debian"
    made = script("make", "trixie", str(folder))
    if "mmdebstrap failed" in made.stderr:
        assert not folder.exists()
        pytest.skip(f"Debian's packages cannot be had: {made.stderr.splitlines()[0]}")
    assert made.returncode == 0, made.stderr
    yield folder
    shutil.rmtree(folder)  # Seven gigabytes, with CUDA.


@pytest.mark.full(reason="downloads a Debian, and gigabytes of packages into it")
def test_recipe(debian: Path) -> None:
    """Twice: the second run takes over what the first one's early stages made."""
    kit = debian / "home" / "user" / "kit"
    model = kit / f"{_FILE}.tflite"
    for options in (["--fast"], ["--without", "reconstruct", "--no-report"]):
        done = script("run", str(debian), "bash", "recipe.sh", *options)
        assert done.returncode == 0, done.stderr
        assert model.stat().st_uid == kit.stat().st_uid != 0
        assert len(Detector(model, score_threshold=0.05).detect(photo(1, 320, 320)))
    assert re.search(r"^\[2/.\] onnx .* unchanged$", done.stdout, re.MULTILINE), done.stdout
    report = json.loads((kit / "build" / _FILE / "report.json").read_text())
    assert report["ap"]["AP"] > 20, "25.8 with everything, of 50 scenes"
    asked = script("run", str(debian), "git", "status", "--porcelain")
    assert (asked.returncode, asked.stdout) == (0, ""), "what it writes is ignored by git"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage: "),
        (["make", "trixie"], "usage: "),
        (["make", "trixie", str(ROOT)], f"{ROOT} exists already"),
        (["run", "/none", "true"], "/none: make has not made it"),
        (["mend", "trixie", "/none"], "mend: neither make nor run"),
    ],
)
def test_wrong_words(words: list[str], said: str) -> None:
    if os.geteuid():
        said = "a chroot needs root"
    done = script(*words)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1
