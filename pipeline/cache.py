"""Runs a stage, or skips it when nothing it depends on has changed."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.fingerprint import checksums, fingerprint
from runtime.errors import KitError
from runtime.files import locked, remove_leftovers, write_text


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other builds out of a work folder; waits, and says so, while one is in it.

    A build that fails before it has written anything leaves no folder behind.
    """
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    path = folder / ".lock"
    waiting = f"another build is at work in {folder}; waiting for it to finish"
    try:
        lock = locked(path, "w", waiting)
    except OSError as error:
        raise KitError(f"{folder}: cannot be written ({error.strerror})") from None
    with lock:
        try:
            yield
        except BaseException:
            if missing and [p.name for p in folder.iterdir()] == [path.name]:
                path.unlink()
                with contextlib.suppress(OSError):  # Somebody else has begun.
                    for made in missing:
                        made.rmdir()
            raise


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


@dataclass(frozen=True)
class Stage:
    """A step of a build, called as `run(**reads, **writes)`; what `run` returns is its result.

    sources: folders of the checkout. reads: all that decides the result besides them, see
    `pipeline.fingerprint`. writes: files and folders that it makes.
    """

    name: str
    run: Callable[..., dict[str, Any]]
    sources: tuple[str, ...]
    reads: Mapping[str, Any]
    writes: Mapping[str, Path]


def run_stage(folder: Path, stage: Stage) -> Done:
    """Run the stage unless it ran before, read the same, and what it wrote is untouched."""
    name, outputs = stage.name, list(stage.writes.values())
    stamp = folder / f"{name}.stamp.json"
    read = fingerprint(stage.sources, stage.reads)
    before = _read(stamp)
    if before.get("fingerprint") == read and before.get("outputs") == checksums(outputs):
        return Done(name, before["result"], before["outputs"], before["wall_s"], skipped=True)
    stamp.unlink(missing_ok=True)
    for path in (stamp, *outputs):
        remove_leftovers(path)
    start = time.perf_counter()
    result = stage.run(**stage.reads, **stage.writes)
    done = Done(name, result, checksums(outputs), time.perf_counter() - start, skipped=False)
    record = {
        "fingerprint": read,
        "outputs": done.outputs,
        "result": done.result,
        "wall_s": done.wall_s,
    }
    write_text(stamp, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return done


def _read(stamp: Path) -> dict[str, Any]:
    try:
        record = json.loads(stamp.read_text(encoding="utf-8"))
        complete = {"fingerprint", "outputs", "result", "wall_s"} <= set(record)
        return record if complete else {}
    except (OSError, ValueError, TypeError):
        return {}
