"""Puts what was made into a folder that holds an earlier generation, and the user's work."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

# Folders of files that the user may make their own.
_ONCE = ("app", "board")


def renew(made: Path, folder: Path, stale: Collection[str]) -> list[str]:
    """Move the files in `made` to `folder`, each whole, but for those of `app/` and `board/` that
    are there.

    stale: files of earlier generations, removed unless they are made again. Whatever else lies in
    the folder stays. Returns what was kept and differs from what is in `made`.
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
    for gone in set(stale) - set(map(str, names)):
        (folder / gone).unlink(missing_ok=True)
    return kept
