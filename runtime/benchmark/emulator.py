"""A Linux board that QEMU's user mode stands in for: it runs arm64 programs on this machine."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import KitError
from . import arm_root
from .board import Board, load_all
from .remote import EMULATED, CommandTimeout, Finished

_QEMU = "qemu-aarch64"
_SSH_ONLY = ("accelerator", "profile", "port", "identity", "ssh_config", "ssh_option")


def known(folder: Path | None = None) -> dict[str, Board]:
    """The CPUs that are emulated, by QEMU's names, each with the board that has its like."""
    boards = [board for board in load_all(folder) if board.emulation]
    return {board.emulation.cpu: board for board in boards if board.emulation}


def find_qemu() -> str:
    """Path of the emulator. Raises `KitError` where there is none."""
    path = shutil.which(_QEMU)
    if path is None:
        raise KitError(f"--board {EMULATED}: {_QEMU} is not installed; apt install qemu-user")
    return path


class Emulator:
    """Stands where a `remote.Connection` does; its Python is that of `root`, its files are this
    machine's. libraries: folders of the root with further ones."""

    def __init__(self, cpu: str, root: Path, libraries: Sequence[str] = ()) -> None:
        self.cpu, self._root = cpu, root
        self.host = f"emulated {cpu}"
        self._start = [find_qemu(), "-cpu", cpu, "-L", str(root)]
        modules = arm_root.KIT, root / "site", root / "usr/lib/python3/dist-packages"
        self._environment = {
            "LC_ALL": "C.UTF-8",
            "LD_LIBRARY_PATH": os.pathsep.join(str(root / name) for name in libraries),
            "PYTHONHOME": str(root / "usr"),
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": os.pathsep.join(map(str, modules)),
        }

    def run(
        self,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: str = "",
        timeout_s: float = 60,
        qemu: Sequence[str] = (),
    ) -> Finished:
        """Run `python3` with words. folder: to be in. qemu: more options of it.

        Raises `CommandTimeout` when time is up.
        """
        assert words[0] == "python3", "nothing else is in the root"
        command = [*self._start, *qemu, str(arm_root.python(self._root)), *words[1:]]
        try:
            done = subprocess.run(
                command,
                cwd=folder or None,
                env={**self._environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandTimeout(f"{self.host}: no answer in {timeout_s:.0f} s") from None
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return Finished(code, done.stdout, done.stderr.decode("utf-8", "replace"))

    def send(self, content: bytes, path: str) -> None:
        """Write a file. Raises `KitError`."""
        try:
            Path(path).write_bytes(content)
        except OSError as error:
            raise KitError(f"{path}: cannot be written ({error.strerror})") from None

    def receive(self, path: str) -> bytes:
        """Content of a file. Raises `KitError`."""
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise KitError(f"{path}: cannot be read ({error.strerror})") from None

    @contextlib.contextmanager
    def temporary_folder(self) -> Iterator[str]:
        """A new folder, removed at the end."""
        with tempfile.TemporaryDirectory(prefix="nanodet-") as folder:
            yield folder


def chosen(options: argparse.Namespace) -> list[Emulator]:
    """What the options of `remote.add_options` ask for, with the root of `arm_root.standard`.

    Raises `KitError` for wrong ones, without QEMU, and where no root can be made.
    """
    cpus = list(known(options.boards))
    for name in _SSH_ONLY:
        if getattr(options, name) not in (None, [], "cpu"):
            option = "--" + name.replace("_", "-")
            raise KitError(f"{option} goes with a board in the network, not with {EMULATED}")
    if options.cpu is not None and options.cpu not in cpus:
        raise KitError(f"--cpu {options.cpu}: not one that gives right answers: {', '.join(cpus)}")
    find_qemu()
    root, boards = arm_root.standard(), known(options.boards)
    return [of_board(board, root) for cpu, board in boards.items() if options.cpu in (None, cpu)]


def of_board(board: Board, root: Path) -> Emulator:
    """The emulator of a board that has an `emulation`."""
    assert board.emulation is not None
    cpuinfo = board.emulation.cpuinfo(board.cores.count)
    return Emulator(board.emulation.cpu, arm_root.with_cpuinfo(root, board.name, cpuinfo))
