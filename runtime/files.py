"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from .errors import KitError
from .quiet import say

_LITTLE_BYTES = 1 << 20


def cache() -> Path:
    """The user's cache folder of the kit."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nanodet-edge-kit"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix beside `path`, renamed to it on success.

    A directory made at the temporary path replaces a directory at `path`. Raises `KitError`
    when the folder cannot be written, or is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path)))
    except OSError as error:
        raise KitError(
            f"{path}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    try:
        temporary = scratch / path.name
        yield temporary
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        raise KitError(f"{path}: cannot be written ({_reason(error, scratch)})") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _reason(error: OSError, folder: Path) -> str:
    """numpy, for one, does not say that the disk is full."""
    if error.strerror:
        return error.strerror
    full = shutil.disk_usage(folder).free < _LITTLE_BYTES
    return os.strerror(errno.ENOSPC) if full else str(error)


def is_still_at(file: IO[Any], path: Path) -> bool:
    """Is the open file the one that is at `path` now? It may have been moved or removed."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def locked(path: Path, mode: str, waiting: str = "") -> IO[Any]:
    """The file at `path`, opened and locked against other processes; makes the folder.

    waiting: what is printed before waiting for another process. Raises `OSError`.
    """
    import fcntl  # Of Unix.

    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open(mode)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        if is_still_at(file, path):
            return file
        file.close()


def overwritten(outputs: Iterable[Path], inputs: Iterable[Path]) -> Path | None:
    """The first of `outputs` that is one of `inputs`, under whatever name; None where none is."""
    given = {file for path in inputs if (file := _identity(path))}
    return next((path for path in outputs if _identity(path) in given), None)


def _identity(path: Path) -> tuple[int, int] | None:
    """What every name of a file has in common; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove_leftovers(path: Path) -> None:
    """Remove what `writing(path)` leaves when its process is killed; nobody else may write it."""
    for scratch in path.parent.glob(f"{glob.escape(_prefix(path))}*"):
        shutil.rmtree(scratch, ignore_errors=True)


def _prefix(path: Path) -> str:
    return f".writing-{path.name[:100]}-"


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
