"""Which board it is that answers, and whether it has what a measurement needs."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import KitError
from .board import Accelerator, Board, load, load_all
from .remote import Connection

_VERSION = re.compile(r"\d+(?:\.\d+)+")


def identify(connection: Connection, name: str, folder: Path | None) -> tuple[Board, str]:
    """The board, and what `uname -a` says there. name: of the board, "" to find it.

    Raises `KitError` where the board is unknown, or another than the one of that name.
    """
    kernel = connection.run(["uname", "-a"]).text.strip()
    linux = [board for board in load_all(folder) if board.benchmark_model]
    if name:
        chosen = load(name, folder)
        if chosen not in linux:
            raise KitError(f"--profile {name}: not a Linux board; choose one of {_names(linux)}")
        if chosen.soc not in kernel:
            raise KitError(
                f"--profile {name}: wants `{chosen.soc}` in uname -a, but {connection.host} says "
                f"`{kernel}`; leave --profile out, or write one with another `soc` (docs/boards.md)"
            )
        return chosen, kernel
    for known in linux:
        if known.soc and known.soc in kernel:
            return known, kernel
    raise KitError(
        f"{connection.host} says `{kernel}`, a board that no profile knows; choose one with "
        f"--profile ({_names(linux)}) or write one (docs/boards.md)"
    )


def _names(boards: list[Board]) -> str:
    return ", ".join(board.name for board in boards)


def choose_accelerator(connection: Connection, board: Board, name: str) -> Accelerator:
    """Raises `KitError` where the board has none of the name, or its delegate is missing."""
    if name not in board.accelerators:
        raise KitError(
            f"--accelerator {name}: {board.title} has {', '.join(board.accelerators)} only"
        )
    chosen = board.accelerators[name]
    if chosen.delegate and connection.run(["test", "-e", chosen.delegate]).returncode:
        raise KitError(
            f"{connection.host}: delegate {chosen.delegate} is missing; the board's image needs "
            "NXP's eIQ packages, or its profile another path"
        )
    return chosen


def find_tool(connection: Connection, board: Board) -> str:
    """Path of the newest `benchmark_model`. Raises `KitError` where there is none."""
    paths = connection.find(board.benchmark_model)
    if not paths:
        raise KitError(
            f"{connection.host}: no benchmark_model at {' or '.join(board.benchmark_model)}; "
            "install the image's eIQ packages, or name another path in a profile (docs/boards.md)"
        )
    return max(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", path)])


def version(tool: str) -> str:
    """Of TensorFlow Lite or LiteRT, as the tool's path tells it."""
    found = _VERSION.findall(tool)
    return found[-1] if found else ""


def system_name(connection: Connection) -> str:
    """Name of the board's image, "" where it has none."""
    return pretty_name(connection.run(["cat", "/etc/os-release"]).text)


def pretty_name(os_release: str) -> str:
    """Content of /etc/os-release -> name of the system, "" where it has none."""
    for line in os_release.splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return ""
