"""Which Python is taken, which of PyTorch's builds is installed, and nothing without its hash."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import ROOT

_SCRIPT = str(ROOT / "tools" / "environment.sh")
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
        [bash, "-c", '. "$0"; install_torch', _SCRIPT],
        cwd=tmp_path,
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=True,
    )
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split("-r locks/")[1].split()[0] for line in asked] == [f"{x}.lock" for x in locks]
    assert all("--require-hashes" in line and "--no-deps" in line for line in asked)
    assert said in done.stderr and bool(done.stderr) == bool(said)


@pytest.mark.parametrize(
    ("machine", "refused", "reason"),
    [
        ("Linux x86_64", False, "a PC"),
        ("Linux aarch64", False, "an Arm PC"),
        ("Darwin arm64", False, "a Mac"),
        ("Darwin x86_64", True, "TensorFlow has no build"),
        ("Linux riscv64", True, "TensorFlow has no build"),
    ],
)
def test_machines(tmp_path: Path, machine: str, refused: bool, reason: str) -> None:
    """Those that are not refused are asked for a Python, which is not there."""
    shutil.copytree(ROOT / "locks", tmp_path / "locks")
    code = f'. "$0"; uname() {{ echo "{machine}"; }}; environment locks/recipe.lock'
    done = subprocess.run(
        ["bash", "-c", code, _SCRIPT],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": "/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    wanted = f"error: {machine}: building needs" if refused else "error: Python 3.10 to 3.13"
    assert done.stderr.startswith(wanted), reason


def test_byte_code_is_kept() -> None:
    """Whatever the caller's environment says."""
    code = '. "$0"; echo "${PYTHONDONTWRITEBYTECODE-kept}"'
    done = subprocess.run(
        ["bash", "-c", code, _SCRIPT],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "kept\n"


@pytest.mark.parametrize(
    ("version", "said", "reason"),
    [
        ("3.9.2", "fake is 3.9.2", "too old"),
        ("3.14.0", "fake is 3.14.0", "newer than TensorFlow's wheels"),
        (None, "none is here", "no such program"),
    ],
)
def test_python_out_of_range(tmp_path: Path, version: str | None, said: str, reason: str) -> None:
    """One line with what was found, the range, and ways to get one."""
    fake = tmp_path / "fake"
    if version:
        fake.write_text(f'#!/bin/sh\ncase "$2" in *version_info*) exit 1 ;; esac\necho {version}\n')
        fake.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", '. "$0"; find_python', _SCRIPT],
        env={"PATH": os.environ["PATH"], "PYTHON": str(fake)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, reason
    assert said in done.stderr and "3.10 to 3.13" in done.stderr and "apt" in done.stderr, reason


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A stand-in for PyTorch's index with one tiny wheel: its address, and the wheel's SHA-256."""
    folder = tmp_path / "index" / "torch"
    folder.mkdir(parents=True)
    wheel = folder / "torch-9.9+cpu-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("torch.py", "")
        file.writestr(
            "torch-9.9+cpu.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: torch\nVersion: 9.9+cpu\n",
        )
        file.writestr(
            "torch-9.9+cpu.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        file.writestr("torch-9.9+cpu.dist-info/RECORD", "")
    (folder / "index.html").write_text(
        f'<a href="{wheel.name.replace("+", "%2B")}">{wheel.name}</a>'
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder.parent)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", hashlib.sha256(wheel.read_bytes()).hexdigest()
    server.shutdown()


@pytest.mark.parametrize(
    ("right", "reason"),
    [(True, "as locked"), (False, "another file under the same name is refused")],
)
def test_pytorch_from_its_own_index(
    tmp_path: Path, index: tuple[str, str], right: bool, reason: str
) -> None:
    """By pip itself, without CUDA first and the build with it only where that fails."""
    address, digest = index
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / ".venv")], check=True)
    (tmp_path / "locks").mkdir()
    wanted = digest if right else "0" * 64
    lock = f"torch==9.9+cpu --hash=sha256:{wanted}\n"
    (tmp_path / "locks" / "torch-cpu.lock").write_text(lock)
    (tmp_path / "locks" / "torch-cuda.lock").write_text("")
    own = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    code = '. "$0"; install_torch; .venv/bin/python -c "import torch"'
    done = subprocess.run(
        ["bash", "-c", code, _SCRIPT],
        cwd=tmp_path,
        env={
            **own,
            "TORCH_INDEX": address,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": address,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == right, (reason, done.stderr)
    assert right or "taking the one with it" in done.stderr, done.stderr
