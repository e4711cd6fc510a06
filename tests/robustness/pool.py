"""Runs mutants in worker processes and notices when one hangs or dies."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

HANG_S = 30
_START_S = 120
MEMORY_BYTES = 4 << 30


@dataclass
class Outcome:
    """What became of the mutants of one kind. broken: mutant and command -> what went wrong."""

    mutants: int = 0
    trials: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    answers: int = 0
    worst_s: float = 0.0
    worst_bytes: int = 0
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, trial: dict[str, Any]) -> None:
        """Count a trial that the worker reported."""
        self.trials[trial["trial"]] += 1
        self.worst_s = max(self.worst_s, trial["seconds"])
        self.worst_bytes = max(self.worst_bytes, trial["bytes"])
        broke = trial["broke"]
        if trial["bytes"] > MEMORY_BYTES:
            broke = broke or f"took {trial['bytes']:,} bytes"
        if broke:
            self.broken[f"mutant {number}, {trial['trial']}"] = broke
        elif trial["code"] == 0:
            self.answers += 1
        else:
            self.errors += 1


class _Worker:
    def __init__(self, kind: str, material: Path, scratch: Path) -> None:
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(scratch),
            "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch), "PYTHONFAULTHANDLER": "1",
        }  # fmt: skip
        self.log = scratch / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.robustness.worker", kind, str(material)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self.rest = b""
        self.answer(_START_S)  # It says when it is ready.

    def ask(self, number: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n".encode())
        self.process.stdin.flush()

    def answer(self, timeout_s: float) -> bytes | None:
        """The next line; None when there is none in time, b"" when it died."""
        assert self.process.stdout is not None
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], timeout_s)[0]:
                return None
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk:
                return b""
            self.rest += chunk
        line, self.rest = self.rest.split(b"\n", 1)
        return line + b"\n"

    def end(self) -> int:
        self.process.kill()
        return self.process.wait()


def run_mutants(
    kind: str, numbers: Iterable[int], material: Path, scratch: Path, workers: int = 1
) -> Outcome:
    """Put the mutants through the kit, spread over processes."""
    outcome, shares = Outcome(), [list(numbers)[i::workers] for i in range(workers)]
    with ThreadPoolExecutor(workers) as threads:
        folders = [scratch / f"{kind}-{i}" for i in range(workers)]
        jobs = [
            threads.submit(_run_share, kind, share, material, folder, outcome)
            for share, folder in zip(shares, folders, strict=True)
        ]
        for job in jobs:
            job.result()
    return outcome


def _run_share(
    kind: str, numbers: list[int], material: Path, scratch: Path, outcome: Outcome
) -> None:
    scratch.mkdir(parents=True)
    worker = _Worker(kind, material, scratch)
    for number in numbers:
        worker.ask(number)
        outcome.mutants += 1
        while (line := worker.answer(HANG_S)) != b"\n":
            if line:
                outcome.add(number, json.loads(line))
                continue
            died = "hangs" if line is None else _last_words(worker)
            worker.end()
            outcome.broken[f"mutant {number}, unfinished"] = died
            worker = _Worker(kind, material, scratch)
            break
    worker.end()


def _last_words(worker: _Worker) -> str:
    code = worker.process.wait()
    return f"died, {code}: {worker.log.read_text(errors='replace')[-1500:]}"
