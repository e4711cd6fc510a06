"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import KitError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix beside `path`, renamed to it on success.

    A directory made at the temporary path replaces a directory at `path`. Raises `KitError`
    when the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=".writing-"))
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
        raise KitError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
