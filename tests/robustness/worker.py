"""Puts mutants through the kit in a process of its own, which may hang, swell or die.

`python -m tests.robustness.worker KIND MATERIAL`: reads a mutant's number a line, answers with a
line of JSON for each of its trials, and an empty one after the last. An empty one says it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.robustness.kinds import Trial, trials

MEMORY_BYTES = 4 << 30  # More than this is a failure, on top of what the interpreter maps.


def main() -> None:
    """Until the lines end."""
    kind, material = sys.argv[1], Path(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    answers.write("\n")
    for number in map(int, sys.stdin):
        with tempfile.TemporaryDirectory() as folder:
            for trial in trials(kind, number, material, Path(folder)):
                answers.write(json.dumps(_try(trial, Path(folder))) + "\n")
        answers.write("\n")


def _try(trial: Trial, folder: Path) -> dict[str, Any]:
    _limit_memory()
    Path("/proc/self/clear_refs").write_text("5")  # The peak counts from here.
    start = time.perf_counter()
    code, broke = None, ""
    with _captured(folder) as captured:
        try:
            code = trial.main()
        except BaseException:  # What the command line let through is what is looked for.
            broke = traceback.format_exc()
    printed, complaint = captured
    seconds = time.perf_counter() - start
    return {
        "trial": trial.name,
        "code": code,
        "seconds": seconds,
        "bytes": _peak_bytes(),
        "broke": broke or _judge(trial, code, printed[0], complaint[0]),
        "said": complaint[0].strip()[:300],
    }


def _judge(trial: Trial, code: int | None, printed: str, complaint: str) -> str:
    """What is wrong, in words; nothing where an error was clear or an answer right."""
    if code == 0:
        try:
            trial.check(printed)
        except Exception:
            return "wrong answer: " + traceback.format_exc()
    elif code not in (2, 3, 4):
        return f"exit code {code}"
    elif not complaint.startswith("error: ") or complaint.count("\n") != 1:
        return f"not one line: {complaint}"
    elif trial.output is not None and trial.output.exists():
        return f"left {trial.output.name} behind"
    if trial.output is not None and trial.output.is_dir():
        shutil.rmtree(trial.output)
    return ""


@contextlib.contextmanager
def _captured(folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """What goes to stdout and stderr meanwhile, of native code too."""
    found: tuple[list[str], list[str]] = [], []
    paths, saved = (folder / "out.txt", folder / "err.txt"), (os.dup(1), os.dup(2))
    for path, descriptor in zip(paths, (1, 2), strict=True):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    try:
        yield found
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for path, descriptor, old, texts in zip(paths, (1, 2), saved, found, strict=True):
            os.dup2(old, descriptor)
            os.close(old)
            texts.append(path.read_text(encoding="utf-8", errors="replace"))


def _limit_memory() -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES, resource.RLIM_INFINITY))


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
