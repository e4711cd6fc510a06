"""The fixtures of a board on this machine, and a newcomer's checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.sandbox import Sandbox
from tests.runtime.benchmark.conftest import Server, bin_folder, server

__all__ = ["bin_folder", "server"]


@pytest.fixture(scope="session")
def sandbox(server: Server, bin_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """With the files that the pages take for granted."""
    made = Sandbox(tmp_path_factory.mktemp("newcomer") / "checkout", server, bin_folder)
    for command in ("bash recipe.sh", "bash recipe.sh --target linux"):
        done = made.run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return made
