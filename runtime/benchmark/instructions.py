"""Instructions of an inference in the emulator, and the milliseconds on a board that they foretell.

A board's published latency of NXP's file is scaled by the instructions of a file over those of
NXP's. Instructions of another mix take another time: `transfer_error` and `threads_error` say how
wrong such scaling is where both figures are published.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ..errors import KitError
from .board import Board
from .counted import KERNELS
from .emulator import Emulator, find_qemu

_SOURCE = Path(__file__).with_suffix(".c")
_API_VERSIONS = 2, 1  # Of QEMU's interface, the same for what the counter calls: 9.0 dropped 1.
# NXP does not say which kernels ran; these explain what it publishes better, see docs/boards.md.
PUBLISHED_KERNELS = KERNELS[0]


def count(emulator: Emulator, model: Path, kernels: str, timeout_s: float) -> int:
    """Instructions of an inference on one thread. kernels: one of `KERNELS`.

    Raises `KitError` where QEMU takes no plugins, gcc is missing, or the model does not run.
    """
    _check_tools()
    words = ["python3", "-m", "runtime.benchmark.counted", str(model.resolve()), kernels]
    plugin = ["-plugin", "./count.so,counts=counts"]
    with emulator.temporary_folder() as folder:
        for version in _API_VERSIONS:
            _compile(Path(folder), version)
            done = emulator.run(words, folder=folder, timeout_s=timeout_s, qemu=plugin)
            if not done.returncode:
                before, after = emulator.receive(f"{folder}/counts").split()
                return int(after) - int(before)
            if "API version" not in done.stderr:
                break
    raise KitError(f"{model}: does not run on the {emulator.host} {done.failure}")


def _check_tools() -> None:
    asked = subprocess.run([find_qemu(), "--help"], capture_output=True, text=True, check=False)
    if "-plugin" not in asked.stdout:
        raise KitError(
            f"{find_qemu()} takes no plugins, by which instructions are counted; Debian 12's does"
        )
    if shutil.which("gcc") is None:
        raise KitError("gcc is not installed, which compiles QEMU's counter; apt install gcc")


def _compile(folder: Path, version: int) -> None:
    """Make `count.so` there. version: of QEMU's interface."""
    command = ["gcc", "-O2", "-fPIC", "-shared", f"-DAPI_VERSION={version}", "-o", "count.so"]
    done = subprocess.run(
        [*command, str(_SOURCE)], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise KitError(f"gcc does not compile {_SOURCE.name}: {done.stderr.splitlines()[-1:]}")


def latencies_ms(board: Board, share: float) -> dict[int, float]:
    """Foretold milliseconds of a file with this share of the instructions of NXP's, by the number
    of threads that a latency is published for."""
    return {threads: ms * share for threads, ms in published_ms(board).items()}


def published_ms(board: Board) -> dict[int, float]:
    """Latencies of NXP's file on the CPU, by the number of threads."""
    entries = [e for e in board.published if e.accelerator == "cpu" and e.threads]
    return {entry.threads: entry.latency_ms for entry in entries}


def transfer_error(one: Board, other: Board, kernels: str) -> float:
    """How far the `other` board's latency of NXP's file on one thread, foretold from that on `one`,
    the instructions on both and their clocks, lies above the published one: 0.1 is 10 %."""
    assert one.emulation is not None and other.emulation is not None
    share = other.emulation.instructions[kernels] / one.emulation.instructions[kernels]
    foretold_ms = published_ms(one)[1] * share * one.cores.mhz / other.cores.mhz
    return foretold_ms / published_ms(other)[1] - 1


def threads_error(one: Board, other: Board) -> float:
    """The same on several threads, with the share that runs on all of them taken from `one`."""
    of_one, of_other = published_ms(one), published_ms(other)
    threads = max(of_one)
    parallel = (1 - of_one[threads] / of_one[1]) / (1 - 1 / threads)
    others = max(of_other)
    return of_other[1] * (1 - parallel * (1 - 1 / others)) / of_other[others] - 1
