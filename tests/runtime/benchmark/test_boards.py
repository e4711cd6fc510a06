"""`boards`, and the command line as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.runtime.benchmark.conftest import Done

Command = Callable[..., Done]


def test_boards(command: Command) -> None:
    done = command("boards")
    assert done.code == 0
    for words in ("imx8mp: i.MX 8M Plus; cpu, npu", "12.1 ms", "615 ms", "an older card"):
        assert words in done.out


def test_boards_of_a_user(command: Command, tmp_path: Path) -> None:
    assert "nowhere: no such folder" in command("boards", "--boards", tmp_path / "nowhere").err
    (tmp_path / "mine.yaml").write_text("title: x")
    assert "mine.yaml: " in command("boards", "--boards", tmp_path).err
