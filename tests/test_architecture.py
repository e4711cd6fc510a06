"""No room imports one that stands below it in docs/architecture.md."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = re.findall(r"^\| `([\w/]+)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
_MODULES = [
    path
    for path in subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if "/" in path and not path.startswith(("tests/", "docs/"))
]


def room_of(module: str) -> str | None:
    """The innermost room that holds a module (a path without suffix); None for a foreign one."""
    inside = [room for room in ROOMS if f"{module}/".startswith(f"{room}/")]
    return max(inside, key=len, default=None)


def imported(source: str, folder: str) -> Iterator[str]:
    """Paths of the modules that a file in `folder` imports, at its head or in a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.replace(".", "/") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").replace(".", "/")
            if node.level:
                above = folder.split("/")[: len(folder.split("/")) - node.level + 1]
                base = "/".join([*above, *([base] if base else [])])
            yield base
            yield from (f"{base}/{alias.name}" for alias in node.names)


def upward(source: str, path: str) -> list[str]:
    """What a file imports from rooms below its own."""
    own = room_of(path.removesuffix(".py"))
    assert own is not None, f"{path} lies in no room of docs/architecture.md"
    found = {room_of(name) for name in imported(source, str(Path(path).parent))}
    return sorted(room for room in found if room and ROOMS.index(room) > ROOMS.index(own))


@pytest.mark.parametrize("path", _MODULES)
def test_no_arrow_points_up(path: str) -> None:
    assert upward((ROOT / path).read_text(), path) == []


@pytest.mark.parametrize(
    ("source", "found", "reason"),
    [
        ("from data.names import ROOT\n", ["data"], "a whole name"),
        ("def f():\n    import pipeline.recipe\n", ["pipeline"], "in a function"),
        ("from ..benchmark import board\n", ["runtime/benchmark"], "relatively"),
        ("from .. import benchmark\n", ["runtime/benchmark"], "relatively, the room itself"),
        ("from ..errors import KitError\nimport numpy\n", [], "its own room, and a package"),
    ],
)
def test_the_check_finds(source: str, found: list[str], reason: str) -> None:
    assert upward(source, "runtime/engines/litert.py") == found, reason


@pytest.mark.parametrize("name", ["Arena", "Board", "Memory"])
def test_a_name_has_one_meaning(name: str) -> None:
    """A description of a board, a region of its memory, and what a file takes of it."""
    homes = [p for p in _MODULES if re.search(rf"^class {name}\b", (ROOT / p).read_text(), re.M)]
    assert len(homes) == 1, homes
