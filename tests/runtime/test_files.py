from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import KitError
from runtime.files import write_text, writing
from tests.conftest import ROOT


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with contextlib.suppress(ZeroDivisionError), writing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    for content in ("one", "two"):
        with writing(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["two"]


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="choose another folder"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_native_output_goes_to_the_log(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from runtime.quiet import output_to
with output_to(Path(sys.argv[1])):
    os.write(2, b"from C\\n")
    print("from Python")
print("after")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (tmp_path / "log").read_text() == "from C\nfrom Python\n"
    assert (done.stdout, done.stderr) == ("after\n", "")
