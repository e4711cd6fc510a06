"""Puts what was made into a folder that holds an earlier generation, and the user's work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# Folders of files that the user may make their own.
_ONCE = ("app", "board")


def renew(made: Path, folder: Path, stale: Mapping[str, Path | None]) -> list[str]:
    """Move the files in `made` to `folder`, each whole, but for those of `app/` and `board/` that
    are there.

    stale: files of earlier generations, and what each is a copy of. They are removed unless they
    are made again, or are in `app/` or `board/` and no copies any longer. Whatever else lies in the
    folder stays. Returns what was kept and differs from what is in `made`.
    """
    names = [path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file()]
    kept = []
    for name in names:
        new, old = made / name, folder / name
        if name.parts[0] not in _ONCE or not old.exists():
            old.parent.mkdir(parents=True, exist_ok=True)
            new.replace(old)
        elif old.read_bytes() != new.read_bytes():
            kept.append(str(name))
    for gone in sorted(set(stale) - {name.as_posix() for name in names}):
        _remove(folder / gone, stale[gone] if Path(gone).parts[0] in _ONCE else None)
    return kept


def _remove(path: Path, original: Path | None) -> None:
    """A file, if it is as it was, and its folder once nothing is left there."""
    if not path.is_file() or (original and path.read_bytes() != original.read_bytes()):
        return
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
