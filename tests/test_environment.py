"""The commands start from any folder, by any Python, and import nothing of the caller's."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Of the standard library, of packages, and of the kit: whoever imports one of these has failed.
_FOREIGN = (
    "numpy.py", "torch.py", "yaml.py", "tqdm/__init__.py", "report.py", "convert.py", "quantize.py",
    "runtime/__init__.py", "pipeline.py", "evaluation.py", "data/__init__.py", "environment.py",
    "calibration.py", "argparse.py", "dataclasses.py", "json.py",
)  # fmt: skip
# What names a missing file to each of the front doors.
_NAMING = {
    "recipe.sh": ["--weights"],
    "evaluate.py": [],
    "example.py": ["--tflite"],
    "nanodet": ["detect", "--tflite"],
}
# Read by any Python 3, before `.venv` is there.
_EARLY = ("nanodet", "commands.py", "environment.py")
# Nor does a copy of the kit count its lines: its paths would stand beside the kit's own, uncovered.
_PLAIN = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE", "COV_"))}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A user's folder with modules called as the kit's, as packages', as Python's own."""
    folder = tmp_path / "their work"
    for name in _FOREIGN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("raise SystemExit('the caller\\'s module was imported')\n")
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any package, as a distribution installs it."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def _kit(folder: Path) -> Path:
    """A checkout whose `.venv` is an environment of its own, with the packages of this one."""
    without = shutil.ignore_patterns(".*", "__pycache__", "build", "docs", "tests", "*.tflite")
    shutil.copytree(ROOT, folder, ignore=without)
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    packages.rmdir()
    packages.symlink_to(sysconfig.get_paths()["purelib"])
    installed = '. tools/environment.sh; touch "$(marker_of locks/recipe.lock)"'
    subprocess.run(["bash", "-c", installed], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _kit(tmp_path_factory.mktemp("kit") / "a kit")


def _run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={**_PLAIN, **variables}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "as most shells are"),
        ({"PYTHONSAFEPATH": "1"}, "Python 3.11 leaves the script's folder out, then"),
        ({"PYTHONPATH": "{theirs}"}, "a folder of the user's own for modules"),
        ({"PYTHONPATH": "."}, "the same, wherever that is"),
        ({"PYTHONPATH": ":"}, "an empty entry is the folder that one is in"),
    ],
)
@pytest.mark.parametrize("program", _NAMING)
def test_no_module_of_the_caller(
    kit: Path, bare: Path, theirs: Path, program: str, variables: dict[str, str], reason: str
) -> None:
    """A missing file is named, so that all has been imported by then."""
    arguments = [*_NAMING[program], "none.tflite"]
    starts = {"recipe.sh": ["bash"], "nanodet": []}.get(program, [str(kit / ".venv/bin/python")])
    if program.endswith(".py") and "PYTHONPATH" in variables:
        # Python's own modules are imported from there before any line of the kit's runs.
        for name in ("argparse.py", "dataclasses.py", "json.py"):
            (theirs / name).unlink()
    given = {k: v.replace("{theirs}", str(theirs)) for k, v in variables.items()}
    done = _run([*starts, str(kit / program), *arguments], theirs, **given)
    assert done.returncode == 2, (reason, done.stderr)
    assert done.stderr.startswith("error: ") and "none.tflite: no such file" in done.stderr, reason


@pytest.mark.parametrize("program", ["evaluate.py", "example.py", "nanodet boards"])
def test_any_python(kit: Path, bare: Path, theirs: Path, program: str) -> None:
    script, *words = program.split()
    done = _run([str(bare), str(kit / script), *words, "--help"], theirs)
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {program} "), done.stderr


def test_nanodet_through_links(kit: Path, theirs: Path) -> None:
    """As one puts it on the path: a link to a link, found by its name."""
    (theirs / "bin").mkdir()
    (theirs / "bin" / "nanodet").symlink_to("../link")
    (theirs / "link").symlink_to(kit / "nanodet")
    path = f"{theirs / 'bin'}:{os.environ['PATH']}"
    done = _run(["bash", "-c", "nanodet boards"], theirs, PATH=path)
    assert done.returncode == 0 and "imxrt1170 (" in done.stdout, done.stderr


@pytest.mark.parametrize("name", _EARLY)
def test_old_pythons_understand(name: str) -> None:
    ast.parse((ROOT / name).read_text(), feature_version=(3, 6))
    assert "from __future__ import annotations" not in (ROOT / name).read_text(), "3.7 and later"


def test_help_before_anything_is_installed(bare: Path, theirs: Path) -> None:
    for name in (*_EARLY, "pyproject.toml"):
        shutil.copy(ROOT / name, theirs)
    done = _run([str(bare), "-I", str(theirs / "nanodet"), "--help"], theirs)
    assert done.returncode == 0 and "  doctor " in done.stdout, done.stderr
    assert _run([str(bare), "-I", str(theirs / "nanodet"), "--version"], theirs).returncode == 0


def test_help_of_the_recipe_before_anything_is_installed(bare: Path, tmp_path: Path) -> None:
    """From a text, which holds the parser's words; only the breaks between lines may differ."""
    (tmp_path / "docs").mkdir()
    for name in (*_EARLY, "recipe.sh", "docs/recipe.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = [sys.executable, "-I", str(ROOT / "environment.py"), "pipeline", "--help"]
    real = _run(python, tmp_path, COLUMNS="100").stdout
    for start in (["bash", "recipe.sh"], [str(bare), "-I", "nanodet", "build"]):
        done = _run([*start, "--fast", "--help"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == real.split(), (
            "COLUMNS=100 bash recipe.sh --help >docs/recipe.txt makes the text anew"
        )


def test_building_installs_first(bare: Path, tmp_path: Path) -> None:
    """By tools/environment.sh, which wants another Python than there is here."""
    for name in _EARLY:
        shutil.copy(ROOT / name, tmp_path)
    for name in ("tools", "locks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    done = _run([str(bare), str(tmp_path / "nanodet"), "build"], tmp_path, PYTHON="/none")
    assert done.returncode == 2
    assert done.stderr.startswith("error: Python 3.10 to 3.13 is needed"), done.stderr


def test_a_module_in_any_folder(kit: Path, bare: Path, theirs: Path) -> None:
    command = [str(bare), str(kit / "environment.py"), "pipeline", "--weights", "none"]
    done = _run(command, theirs)
    assert done.returncode == 2 and "none: no such file" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("python", "message", "reason"),
    [
        (None, "packages are missing", "no environment yet"),
        ("#!/bin/sh\nexec {bare} \"$@\"\n", "packages are missing", "another Python, no venv"),
        ("", "does not start", "a file that is no program"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("program", ["evaluate.py", "example.py", "nanodet"])
def test_no_environment(
    bare: Path, tmp_path: Path, program: str, python: str | None, message: str, reason: str
) -> None:
    """One line, and no end without."""
    for name in {*_EARLY, program}:
        shutil.copy(ROOT / name, tmp_path)
    if python is not None:
        path = tmp_path / ".venv" / "bin" / "python"
        path.parent.mkdir(parents=True)
        path.write_text(python.format(bare=shlex.quote(str(bare))))
        path.chmod(0o755 if python else 0o644)
    words = ["boards"] if program == "nanodet" else []
    done = _run([str(bare), str(tmp_path / program), *words], tmp_path)
    assert done.returncode == 2, reason
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert message in done.stderr, reason
