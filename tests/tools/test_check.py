"""What `./nanodet check` says, with a Python that has no packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import check


def _check(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", *words], env={**os.environ, **variables}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_a_line_for_each_need(tmp_path: Path) -> None:
    """Programs are looked for on the path, weights and pictures where builds look."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gcc").touch(0o755)
    for name in ("weights/a.ckpt", "coco/calibration/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    given = {"PATH": str(tmp_path / "bin"), "NANODET_DATA": str(tmp_path)}
    done = _check(str(ROOT / "nanodet"), "check", **given)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert any(line.startswith("ok       gcc ") for line in lines)
    assert any(line.startswith("missing  cmake ") and "apt install cmake" in line for line in lines)
    assert any(line.startswith("ok       official weights") for line in lines)


def test_too_old_a_python(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "OLDEST", (3, 99))
    assert check.main([]) == 1
    assert "missing  Python" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "said", "reason"),
    [
        ({"https_proxy": "http://u:secret@127.0.0.1:9"}, "proxy 127.0.0.1:9", "a dead proxy"),
        ({"PIP_INDEX_URL": "http://127.0.0.1:9/a"}, "127.0.0.1 does not answer (", "no network"),
        ({"PIP_NO_INDEX": "1"}, "", "packages come from elsewhere"),
        ({"PIP_INDEX_URL": "file:///simple"}, "", "so do they here"),
    ],
)  # fmt: skip
def test_network(variables: dict[str, str], said: str, reason: str) -> None:
    """Named before pip starts, and no password printed."""
    given = {"PIP_INDEX_URL": "https://pypi.org/simple", "no_proxy": "", **variables}
    done = _check(str(ROOT / "tools" / "check.py"), "network", **given)
    assert done.returncode == (2 if said else 0), reason
    assert said in done.stderr and done.stderr.count("\n") == bool(said), done.stderr
    assert "secret" not in done.stderr


def test_one_range_of_pythons() -> None:
    """tools/environment.sh says it, too, and pyproject.toml locks for it."""
    span = "{}.{} to {}.{}".format(*check.OLDEST, *check.NEWEST)
    assert span in (ROOT / "tools" / "environment.sh").read_text()
    below = f"{check.NEWEST[0]}.{check.NEWEST[1] + 1}"
    assert f"python_version < '{below}'" in (ROOT / "pyproject.toml").read_text()
