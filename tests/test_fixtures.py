"""What the tests share: made once a run, commands in this process, and the measure of likeness."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import deviation, once, run_here, run_python


def test_made_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Threads stand for processes: each opens the lock for itself. A failure is tried again."""
    tmp_path_factory.getbasetemp()  # Which pytest makes, once.
    folders: list[Path] = []

    def make(folder: Path) -> int:
        assert not list(folder.iterdir())
        folders.append(folder)
        (folder / "a").write_text("")
        time.sleep(0.05)
        if len(folders) == 1:
            raise ValueError("the first one")
        return len(folders)

    def get(_: int) -> int:
        try:
            return once(tmp_path_factory, f"test-{os.getpid()}", make)
        except ValueError:
            return 1

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(get, range(4))) == [1, 2, 2, 2]
    assert len(folders) == 2 and (folders[1] / "a").exists()


@pytest.mark.parametrize(
    ("end", "code", "complaint", "reason"),
    [
        ("print(sys.argv[1:], os.getcwd() == sys.argv[1])", 0, "", "it ends"),
        ("sys.exit(3)", 3, "", "a code"),
        ("sys.exit('error: no')", 1, "error: no\n", "a message"),
        ("print('x', file=sys.stderr); sys.exit(2)", 2, "x\n", "on stderr"),
    ],
)
def test_a_command_in_this_process(
    tmp_path: Path, end: str, code: int, complaint: str, reason: str
) -> None:
    """As in one of its own, which leaves nothing behind."""
    (tmp_path / "a.py").write_text(f"import os, sys\nos.environ['LEFT'] = '1'\n{end}\n")
    before = Path.cwd(), [*sys.path], sys.argv
    here, there = (run(tmp_path, "a.py", str(tmp_path)) for run in (run_here, run_python))
    assert (here.returncode, here.stdout, here.stderr) == (code, there.stdout, complaint), reason
    assert (there.returncode, there.stderr) == (code, complaint), reason
    assert (Path.cwd(), sys.path, sys.argv) == before and "LEFT" not in os.environ


def test_deviation() -> None:
    wanted = np.random.default_rng(0).normal(size=1000)
    assert deviation(wanted, wanted) == 0
    assert deviation(2 * wanted + 5, wanted) > 1, "which a correlation takes for equal"
    assert deviation(np.full(1000, wanted.mean()), wanted) == pytest.approx(1)
