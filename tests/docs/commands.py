"""The commands that README and docs show: in blocks of code, and within sentences."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT

_FENCE = re.compile(r"^```(\w*)$")
_INLINE = re.compile(r"`([^`]+)`")
# What a line of shell begins with, after assignments.
_STARTS = re.compile(
    r"^(?:[A-Z_]+=\S+ )*"
    r"(?:bash|python|pip|ssh|scp|cmake|qemu-system-arm|\.venv/bin/\w+|\./nanodet) \S"
)


def documents() -> list[Path]:
    """README and all pages, sorted."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(path: Path) -> list[str]:
    """Every command of a document, in order, without comments; each once."""
    found, paragraph, fenced = [], "", None
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        fence = _FENCE.match(line)
        if fence:
            fenced = None if fenced is not None else fence[1]
        elif fenced is not None or line.startswith("    "):
            found.append(line.strip().partition("  #")[0].strip())
        elif line.strip():
            paragraph += " " + line.strip()
        else:
            found += _INLINE.findall(paragraph)
            paragraph = ""
    return list(dict.fromkeys(c for c in found if _STARTS.match(c)))
