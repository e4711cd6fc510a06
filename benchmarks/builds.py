"""Running the kit's own commands, as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from data.names import ROOT

FIGURES = ("AP", "AP50", "AP75")


def python(*arguments: str, threads: int = 0, codes: Collection[int] = (0,)) -> None:
    """Run a command of the kit. threads: limit of PyTorch's and NumPy's. codes: exits that are no
    failure."""
    print("$ python", *arguments, file=sys.stderr, flush=True)
    limit = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **limit},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode not in codes:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")


def evaluate(scores: Path, *arguments: str, threads: int = 0) -> dict[str, float]:
    """AP, AP50 and AP75 in percent, by evaluate.py; `scores` is where it writes them."""
    python("evaluate.py", *arguments, "--json", str(scores), threads=threads)
    figures = json.loads(scores.read_text(encoding="utf-8"))
    return {name: figures[name] for name in FIGURES}


def read_report(folder: Path) -> dict[str, Any]:
    """The report of a build, from its work folder."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found
