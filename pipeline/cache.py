"""Runs a stage, or skips it when nothing it depends on has changed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from runtime.errors import KitError
from runtime.files import is_still_at, remove_leftovers, write_text


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other builds out of a work folder; waits, and says so, while one is in it.

    A build that fails before it has written anything leaves no folder behind.
    """
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    path = folder / ".lock"
    with _locked(path):
        try:
            yield
        except BaseException:
            if missing and [p.name for p in folder.iterdir()] == [path.name]:
                path.unlink()
                with contextlib.suppress(OSError):  # Somebody else has begun.
                    for made in missing:
                        made.rmdir()
            raise


def _locked(path: Path) -> IO[str]:
    """The file there, locked; another build may have removed it in the meantime."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("w")
        except OSError as error:
            raise KitError(f"{path.parent}: cannot be written ({error.strerror})") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another build is at work in {path.parent}; waiting for it to finish")
            sys.stdout.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
        if is_still_at(lock, path):
            return lock
        lock.close()


@dataclass(frozen=True)
class Done:
    """A stage that has run, now or before.

    result: what the stage returned, as JSON values. wall_s: time it took when it ran.
    """

    name: str
    result: dict[str, Any]
    outputs: dict[str, str]
    wall_s: float
    skipped: bool


def run_stage(
    name: str,
    folder: Path,
    inputs: dict[str, Any],
    outputs: Sequence[Path],
    run: Callable[[], dict[str, Any]],
) -> Done:
    """Call `run` unless it ran before with the same `inputs` and its outputs are untouched.

    inputs: JSON values that decide the result (checksums, spec, settings).
    """
    stamp = folder / f"{name}.stamp.json"
    fingerprint = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    before = _read(stamp)
    if before.get("fingerprint") == fingerprint and before.get("outputs") == checksums(outputs):
        return Done(name, before["result"], before["outputs"], before["wall_s"], skipped=True)
    stamp.unlink(missing_ok=True)
    for path in (stamp, *outputs):
        remove_leftovers(path)
    start = time.perf_counter()
    result = run()
    done = Done(name, result, checksums(outputs), time.perf_counter() - start, skipped=False)
    record = {
        "fingerprint": fingerprint,
        "outputs": done.outputs,
        "result": done.result,
        "wall_s": done.wall_s,
    }
    write_text(stamp, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return done


def checksums(paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file, and of all files of each folder, by name; "" for what is missing."""
    return {path.name: _checksum(path) for path in paths}


def source_checksum(root: Path, packages: Sequence[str]) -> str:
    """SHA-256 over the Python sources of packages, so that an edited stage runs again."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _checksum(path: Path) -> str:
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    if not path.is_dir():
        return ""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path)}\0{_checksum(file)}\0".encode())
    return digest.hexdigest()


def _read(stamp: Path) -> dict[str, Any]:
    try:
        record = json.loads(stamp.read_text(encoding="utf-8"))
        complete = {"fingerprint", "outputs", "result", "wall_s"} <= set(record)
        return record if complete else {}
    except (OSError, ValueError, TypeError):
        return {}
