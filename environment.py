"""Lets `python evaluate.py` and `python example.py` work without activating `.venv`."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

_VENV = Path(__file__).resolve().parent / ".venv"
_NEEDED = ("numpy", "PIL", "ai_edge_litert", "tqdm", "yaml")


def enter() -> None:
    """Where the packages are missing, start again with the interpreter of `.venv`.

    Exits with one line when there is no `.venv` yet.
    """
    if all(importlib.util.find_spec(name) for name in _NEEDED):
        return
    python = _VENV / "bin" / "python"
    if Path(sys.prefix) == _VENV or not python.exists():
        print("error: packages are missing; bash recipe.sh installs them in .venv", file=sys.stderr)
        sys.exit(2)
    os.execv(python, [str(python), *sys.argv])
