"""Keeps the chatter of native libraries, which no Python code can ask them to leave out, away."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_STDOUT, _STDERR = 1, 2
_ONE_LOG = threading.RLock()


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Append everything written to stdout and stderr, by C++ code and other threads too, to `log`.

    For a program that owns its process. A second thread waits until the first is done.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with _ONE_LOG, _redirected(log, _STDOUT, _STDERR):
        yield


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Drop what is written to stderr, as long as this is the only thread.

    Descriptors belong to the whole process: beside other threads, whose lines would be lost and who
    might do the same, nothing is dropped.
    """
    if not _alone() or not _is_open(_STDERR):
        yield
        return
    with _redirected(Path(os.devnull), _STDERR):
        yield


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
