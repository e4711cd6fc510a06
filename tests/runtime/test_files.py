from __future__ import annotations

import contextlib
import subprocess
import sys
import types
from pathlib import Path

import pytest

from runtime.errors import KitError
from runtime.files import is_still_at, locked, remove_leftovers, write_text, writing
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


@pytest.mark.parametrize(
    ("free", "error", "says"),
    [
        (10, OSError("983040 requested and 10208 written"), "No space left on device"),
        (1 << 30, OSError("983040 requested and 10208 written"), "983040 requested"),
        (1 << 30, OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_the_reason_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, error: OSError, says: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: types.SimpleNamespace(free=free))
    message = f"a.txt: cannot be written .{says}"
    with pytest.raises(KitError, match=message), writing(tmp_path / "a.txt"):
        raise error


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


def test_what_a_killed_process_leaves_is_removed(tmp_path: Path) -> None:
    """And what another one writes beside it is not."""
    code = """
import os, signal, sys
from pathlib import Path
from runtime.files import writing
with writing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "a [1].txt"
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    with writing(tmp_path / "b.txt") as other:
        other.write_text("other")
        assert len(list(tmp_path.iterdir())) == 2
        remove_leftovers(path)
    assert [p.name for p in tmp_path.iterdir()] == ["b.txt"]


def test_an_open_file_that_was_moved(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("w") as file:
        assert is_still_at(file, path)
        path.rename(tmp_path / "b")
        assert not is_still_at(file, path)
        path.write_text("another")
        assert not is_still_at(file, path)


_SECOND = """
import sys
from pathlib import Path
from runtime.files import locked
with locked(Path(sys.argv[1]), "a", "waiting for it") as file:
    file.write("second")
"""


@pytest.mark.parametrize("removed", [False, True])
def test_a_second_process_waits(tmp_path: Path, removed: bool) -> None:
    """Also where the first one removes the file that both have opened."""
    path = tmp_path / "new folder" / "file"
    with locked(path, "a") as file:
        command = [sys.executable, "-c", _SECOND, str(path)]
        second = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None and second.stdout.readline() == "waiting for it\n"
        file.write("first ")
        file.flush()
        if removed:
            path.unlink()
    assert second.wait(30) == 0
    assert path.read_text() == ("second" if removed else "first second")
    with locked(path, "r", "nobody is there") as file:
        assert is_still_at(file, path)
