"""Which of PyTorch's builds is installed, and that nothing is without its hash; pip is a fake."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PIP = """#!{bash}
echo "$*" >>asked
[[ "$*" != *torch-cpu* ]] || {{ echo "ERROR: no matching distribution" >&2; exit {code}; }}
"""


@pytest.mark.parametrize(
    ("gpu", "found", "locks", "said", "reason"),
    [
        (False, True, ["torch-cpu"], "", "the small build, where pip finds it"),
        (False, False, ["torch-cpu", "torch-cuda"], "no matching distribution", "said aloud"),
        (True, True, ["torch-cuda"], "", "a GPU wants CUDA"),
    ],
)
def test_build_of_pytorch(
    tmp_path: Path, gpu: bool, found: bool, locks: list[str], said: str, reason: str
) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    programs = [tmp_path / ".venv" / "bin" / "pip", *([tmp_path / "bin" / "nvidia-smi"] * gpu)]
    for program in programs:
        program.write_text(PIP.format(bash=bash, code=0 if found else 1))
        program.chmod(0o755)
    done = subprocess.run(
        [bash, "-c", '. "$0"; install_torch', str(ROOT / "tools" / "environment.sh")],
        cwd=tmp_path,
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=True,
    )
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split("-r locks/")[1] for line in asked] == [f"{x}.lock" for x in locks]
    assert all("--require-hashes" in line and "--no-deps" in line for line in asked)
    assert said in done.stderr and bool(done.stderr) == bool(said)


def test_byte_code_is_kept() -> None:
    """Whatever the caller's environment says."""
    code = '. "$0"; echo "${PYTHONDONTWRITEBYTECODE-kept}"'
    done = subprocess.run(
        ["bash", "-c", code, str(ROOT / "tools" / "environment.sh")],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "kept\n"
