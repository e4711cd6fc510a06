"""README's first command in a Debian that has Python and git alone, as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime import Detector
from tests.conftest import ROOT, photo

_FILE = "nanodet_m_0.5x_shapes"


def script(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "tools" / "debian_chroot.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.full(reason="downloads a Debian, and gigabytes of packages into it")
def test_recipe(tmp_path: Path) -> None:
    mounts = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if os.geteuid() or mounts.returncode or not shutil.which("mmdebstrap"):
        pytest.skip("needs root, who may mount, and mmdebstrap")
    debian = tmp_path / "debian"
    made = script("make", "trixie", str(debian))
    if "mmdebstrap failed" in made.stderr:
        pytest.skip(f"Debian's packages cannot be had: {made.stderr.splitlines()[0]}")
    assert made.returncode == 0, made.stderr
    done = script("run", str(debian), "bash", "recipe.sh", "--fast")
    assert done.returncode == 0, done.stderr
    kit = debian / "home" / "user" / "kit"
    model = kit / f"{_FILE}.tflite"
    assert model.stat().st_uid == kit.stat().st_uid != 0
    report = json.loads((kit / "build" / _FILE / "report.json").read_text())
    assert report["ap"]["AP"] > 0.3, "as this machine's in test_embedded.py"
    assert len(Detector(model, score_threshold=0.05).detect(photo(1, 320, 320)))
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
