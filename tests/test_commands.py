"""./nanodet as a user types it: what it lists, what it refuses, and each command's own help."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

import commands
from commands import COMMANDS
from tests.conftest import NANODET, ROOT

NAMES = [command.name for command in COMMANDS]


def nanodet(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NANODET, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_help_lists_every_command_in_its_group(tmp_path: Path) -> None:
    done = nanodet(tmp_path, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: nanodet ")
    groups: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if line.endswith(":"):
            listed = groups.setdefault(line, [])
        elif line.startswith("  ") and groups:
            listed.append(line.split()[0])
    assert {group: sorted(names) for group, names in groups.items()} == {
        "build and train:": ["build", "check", "config", "data", "shapes", "train"],
        "judge:": ["compare", "detect", "evaluate", "inspect", "run", "waterfall"],
        "boards:": ["bench", "boards", "cost", "doctor", "firmware", "monitor", "parity", "vela"],
        "options:": ["--version", "-h,", "-q,", "-v,"],
    }
    assert all(len(line) <= 80 for line in done.stdout.splitlines()), "a console's width"


def test_version_is_the_projects(tmp_path: Path) -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert nanodet(tmp_path, "--version").stdout == f"nanodet {version}\n"
    newest = re.search("^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None and newest[1].split(" - ")[0] in (version, "Unreleased")


@pytest.mark.parametrize(
    ("words", "message", "reason"),
    [
        ([], "no command", "nothing at all"),
        (["-q"], "no command", "how, but not what"),
        (["docter"], "docter: no such command; the nearest is doctor", "misspelt"),
        (["benchmark"], "the nearest is bench,", "another tool's word"),
        (["wat\nerfall"], "wat?erfall: no such command; the nearest is waterfall", "two lines"),
        (["--fast"], "--fast: no such option", "an option before the command"),
        (["cost"], "MODEL.tflite", "an argument is missing"),
        (["cost", "none.tflite"], "none.tflite: ", "a file is missing"),
        (["boards", "--bogus"], "--bogus; --help lists", "an option of no command"),
        (["boards", "-q", "-v"], "not allowed with", "both at once"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, words: list[str], message: str, reason: str
) -> None:
    done = nanodet(tmp_path, *words)
    assert done.returncode == 2 and not done.stdout, reason
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, reason
    assert message in done.stderr, reason


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.start(name, ["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: nanodet {name} ") and "python -m" not in shown
    assert name == "check" or ("-q, --quiet" in shown and "-v, --verbose" in shown)


@pytest.mark.parametrize("before", [True, False])
def test_quiet_and_verbose_stand_on_either_side(
    before: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from runtime import quiet

    levels: list[int] = []
    monkeypatch.setattr(quiet, "set_level", levels.append)
    monkeypatch.setattr(commands.environment, "enter", lambda: None)
    for flag, level in (("-q", -1), ("--quiet", -1), ("-v", 1), ("--verbose", 1)):
        assert commands.main([flag, "boards"] if before else ["boards", flag]) == 0
        assert levels.pop() == level and not levels


def test_quiet_leaves_the_result_and_no_bar(tmp_path: Path) -> None:
    """On a terminal, where bars are drawn."""
    words = ["shapes", "--out", "scenes", "--images", "2"]
    for flags, drawn in (([], True), (["-q"], False)):
        typed = "stty cols 80 rows 24; " + shlex.join([NANODET, *flags, *words])
        done = subprocess.run(
            ["script", "-qec", typed, "/dev/null"], cwd=tmp_path, capture_output=True, check=True
        )
        assert (b"scenes" in done.stdout) == drawn
        assert len(list((tmp_path / "scenes" / "images").iterdir())) == 2
