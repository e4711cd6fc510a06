"""Which board it is that answers, and whether it has what a measurement needs."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import KitError
from . import profile
from .profile import Accelerator, Profile
from .remote import Board

_VERSION = re.compile(r"\d+(?:\.\d+)+")


def identify(board: Board, name: str, folder: Path | None) -> tuple[Profile, str]:
    """The board's profile, and what `uname -a` says there. name: of the profile, "" to find it.

    Raises `KitError` where the board is unknown, or another than the profile's.
    """
    kernel = board.run(["uname", "-a"]).text.strip()
    profiles = [profile.load(each, folder) for each in profile.find(folder)]
    linux = [p for p in profiles if p.benchmark_model]
    if name:
        chosen = profile.load(name, folder)
        if chosen not in linux:
            raise KitError(f"--profile {name}: no Linux board; choose one of {_names(linux)}")
        if chosen.soc not in kernel:
            raise KitError(
                f"--profile {name}: wants `{chosen.soc}` in uname -a, but {board.host} says "
                f"`{kernel}`; leave --profile out, or write one with another `soc` (docs/boards.md)"
            )
        return chosen, kernel
    for known in linux:
        if known.soc and known.soc in kernel:
            return known, kernel
    raise KitError(
        f"{board.host} says `{kernel}`, a board that no profile knows; choose one with --profile "
        f"({_names(linux)}) or write one (docs/boards.md)"
    )


def _names(profiles: list[Profile]) -> str:
    return ", ".join(p.name for p in profiles)


def choose_accelerator(board: Board, known: Profile, name: str) -> Accelerator:
    """Raises `KitError` where the board has none of the name, or its delegate is missing."""
    if name not in known.accelerators:
        raise KitError(
            f"--accelerator {name}: {known.title} has {', '.join(known.accelerators)} only"
        )
    chosen = known.accelerators[name]
    if chosen.delegate and board.run(["test", "-e", chosen.delegate]).returncode:
        raise KitError(
            f"{board.host}: delegate {chosen.delegate} is missing; the board's image needs NXP's "
            "eIQ packages, or its profile another path"
        )
    return chosen


def find_tool(board: Board, known: Profile) -> str:
    """Path of the newest `benchmark_model`. Raises `KitError` where there is none."""
    paths = board.find(known.benchmark_model)
    if not paths:
        raise KitError(
            f"{board.host}: no benchmark_model at {' or '.join(known.benchmark_model)}; install "
            "the image's eIQ packages, or name another path in a profile (docs/boards.md)"
        )
    return max(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", path)])


def version(tool: str) -> str:
    """Of TensorFlow Lite or LiteRT, as the tool's path tells it."""
    found = _VERSION.findall(tool)
    return found[-1] if found else ""


def system_name(board: Board) -> str:
    """Name of the board's image, "" where it has none."""
    return pretty_name(board.run(["cat", "/etc/os-release"]).text)


def pretty_name(os_release: str) -> str:
    """Content of /etc/os-release -> name of the system, "" where it has none."""
    for line in os_release.splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return ""
