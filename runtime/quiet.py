"""How much a command prints. Keeps away the chatter of native libraries, which no Python code can
ask them to leave out."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_STDOUT, _STDERR = 1, 2
_ONE_LOG = threading.RLock()
level = 0


def set_level(chosen: int) -> None:
    """Of this process. -1: the result alone, neither what `say` prints nor progress bars. 1: also
    what is kept away otherwise."""
    global level
    level = chosen
    if chosen < 0:  # Bars are drawn on terminals alone.
        sys.stderr.isatty = lambda: False  # type: ignore[method-assign]


def say(text: str) -> None:
    """Print a line on the way to the result."""
    if level >= 0:
        print(text, flush=True)


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Append everything written to stdout and stderr, by C++ code and other threads too, to `log`.

    For a program that owns its process. A second thread waits until the first is done.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with _ONE_LOG:
        start = log.stat().st_size if log.exists() else 0
        try:
            with _redirected(log, _STDOUT, _STDERR):
                yield
        finally:
            if level > 0:
                _repeat(log, start)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Drop what is written to stderr, as long as this is the only thread.

    Descriptors belong to the whole process: beside other threads, whose lines would be lost and who
    might do the same, nothing is dropped.
    """
    if level > 0 or not _alone() or not _is_open(_STDERR):
        yield
        return
    with _redirected(Path(os.devnull), _STDERR):
        yield


def _repeat(log: Path, start: int) -> None:
    """On stderr, what a log holds from a byte on."""
    said = log.read_bytes()[start:].decode("utf-8", "replace")
    print(f"{log}:\n{said}", file=sys.stderr)


def _alone() -> bool:
    """tqdm's monitor, which draws bars anew, does not count."""
    monitors = [t for t in threading.enumerate() if type(t).__module__ == "tqdm._monitor"]
    return len(sys._current_frames()) - len(monitors) <= 1


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _redirected(path: Path, *descriptors: int) -> Iterator[None]:
    _flush()
    with contextlib.ExitStack() as undo:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        undo.callback(os.close, target)
        for descriptor in descriptors:
            saved = os.dup(descriptor)
            undo.callback(os.close, saved)
            undo.callback(os.dup2, saved, descriptor)
            os.dup2(target, descriptor)
        undo.callback(_flush)
        yield


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # Programs without a console have none.
            stream.flush()
